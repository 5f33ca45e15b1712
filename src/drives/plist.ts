/**
 * XML property lists, as `diskutil … -plist` prints them: the subset of XML
 * that Apple's PropertyList-1.0.dtd allows, without attributes inside.
 * Not here: binary plists, and writing.
 */
import { FormatError } from '../errors.ts'

export type PlistValue = string | number | boolean | PlistValue[] | { [key: string]: PlistValue }

interface Token {
  /** Element name; `/name` closes; `name/` is empty. */
  tag: string
  /** Text up to the next tag, entities undone. */
  text: string
  offset: number
}

/** @throws {FormatError} not a property list; the message has the offset in characters */
export function parsePlist(xml: string): PlistValue {
  const tokens = [...xml.matchAll(/<(?![?!])(\/?)([a-z]+)[^>]*?(\/?)>([^<]*)/g)].map(
    (match): Token => ({
      tag: `${match[1]}${match[2]}${match[3]}`,
      text: unescapeXml(match[4] ?? ''),
      offset: match.index,
    }),
  )
  let next = 0
  const take = (expected?: string): Token => {
    const token = tokens[next]
    if (token === undefined || (expected !== undefined && token.tag !== expected))
      throw new FormatError(
        `property list: ${expected === undefined ? 'a value' : `<${expected}>`} missing at character ${token?.offset ?? xml.length}`,
      )
    next += 1
    return token
  }
  const closed = (tag: string, text: string): string => {
    take(`/${tag}`)
    return text
  }
  const readValue = (): PlistValue => {
    const { tag, text, offset } = take()
    switch (tag) {
      case 'dict': {
        const dict: { [key: string]: PlistValue } = {}
        while (tokens[next]?.tag !== '/dict') {
          const key = closed('key', take('key').text)
          dict[key] = readValue()
        }
        take('/dict')
        return dict
      }
      case 'array': {
        const array: PlistValue[] = []
        while (tokens[next]?.tag !== '/array') array.push(readValue())
        take('/array')
        return array
      }
      case 'string':
      case 'date':
      case 'data':
        return closed(tag, text)
      case 'integer':
      case 'real':
        return Number(closed(tag, text))
      case 'true/':
      case 'false/':
        return tag === 'true/'
      case 'string/':
      case 'data/':
        return ''
      case 'dict/':
        return {}
      case 'array/':
        return []
      default:
        throw new FormatError(`property list: <${tag}> is not expected at character ${offset}`)
    }
  }
  take('plist')
  const value = readValue()
  take('/plist')
  return value
}

const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

const unescapeXml = (text: string): string =>
  text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|([a-z]+));/gi, (whole, decimal, hex, name) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal))
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
    return ENTITIES[name] ?? whole
  })
