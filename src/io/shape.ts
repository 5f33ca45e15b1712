/** What a value that was read from a file must look like, put together of small checks. */

/**
 * @param at where the value stands in its file: `nodes[0].ip`
 * @returns what is wrong; undefined: nothing
 */
export type Check = (value: unknown, at: string) => string | undefined

const named = (at: string): string => (at === '' ? 'it' : at)

const typed =
  (isRight: (value: unknown) => boolean, words: string): Check =>
  (value, at) => {
    if (isRight(value)) return undefined
    return value === undefined ? `${named(at)} is missing` : `${named(at)} is not ${words}`
  }

export const isText = typed((value) => typeof value === 'string', 'a text')
export const isNumber = typed((value) => typeof value === 'number', 'a number')
export const isFlag = typed((value) => typeof value === 'boolean', 'true or false')

export const isOneOf =
  (values: readonly unknown[]): Check =>
  (value, at) =>
    values.includes(value) ? undefined : `${named(at)} is not one of ${values.join(', ')}`

export const optional =
  (check: Check): Check =>
  (value, at) =>
    value === undefined ? undefined : check(value, at)

export const isListOf =
  (item: Check): Check =>
  (value, at) => {
    if (!Array.isArray(value)) return `${named(at)} is not a list`
    return firstOf(value.map((one, index) => () => item(one, `${at}[${index}]`)))
  }

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const isMapOf =
  (item: Check): Check =>
  (value, at) => {
    if (!isObject(value)) return `${named(at)} is not a mapping`
    return firstOf(
      Object.entries(value).map(
        ([key, one]) =>
          () =>
            item(one, below(at, key)),
      ),
    )
  }

/** Other keys may stand beside these. */
export const hasFields =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value, at) => {
    if (!isObject(value)) return `${named(at)} is not a mapping`
    return firstOf(
      Object.entries(fields).map(
        ([key, check]) =>
          () =>
            check(value[key], below(at, key)),
      ),
    )
  }

const below = (at: string, key: string): string => (at === '' ? key : `${at}.${key}`)

function firstOf(checks: readonly (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const wrong = check()
    if (wrong !== undefined) return wrong
  }
  return undefined
}
