/**
 * Settings in layers: the top of the file, then groups, then the node. The
 * strongest layer that names a key has its value; maps are merged field by field.
 */
import type {
  FurtherUserSettings,
  GroupSettings,
  NodeSettings,
  SharedSettings,
  WifiSettings,
} from './file-shape.ts'
import type { Path } from './yaml-source.ts'

/** A value and where it was said; the value is undefined where it was wrong and is reported already. */
export interface Said<T> {
  value: T | undefined
  path: Path
}

/** One level of settings: the top of the file, a group, or the node. */
export interface Layer {
  settings: SharedSettings & Partial<GroupSettings> & Partial<NodeSettings>
  path: Path
}

type Key = keyof Layer['settings']

/** The strongest layer's value for a key. */
export function pick<K extends Key>(
  draft: { layers: readonly Layer[] },
  key: K,
): Said<Exclude<Layer['settings'][K], undefined>> | undefined {
  for (const { settings, path } of draft.layers.toReversed())
    if (Object.hasOwn(settings, key))
      return {
        value: settings[key] as Exclude<Layer['settings'][K], undefined> | undefined,
        path: [...path, key],
      }
  return undefined
}

type MapKey = 'user' | 'wifi' | 'locale'
type MapOf<K extends MapKey> = Exclude<Layer['settings'][K], undefined | false | readonly unknown[]>

/** Whether a map is set at all: the strongest layer that names it doesn't say `false`. */
export function hasMap(draft: { layers: readonly Layer[] }, key: MapKey): boolean {
  const said = pick(draft, key)
  return said !== undefined && said.value !== false
}

/** The strongest value of a field of a merged map; a layer that says `false` or has a list hides those below it. */
export function pickField<K extends MapKey, F extends keyof MapOf<K> & string>(
  draft: { layers: readonly Layer[] },
  key: K,
  field: F,
): Said<Exclude<MapOf<K>[F], undefined>> | undefined {
  for (const { settings, path } of draft.layers.toReversed()) {
    if (!Object.hasOwn(settings, key)) continue
    const map = settings[key] as MapOf<K> | false | undefined
    if (map === false || Array.isArray(map)) return undefined
    if (map === undefined) return { value: undefined, path: [...path, key] }
    if (Object.hasOwn(map, field))
      return { value: map[field] as Exclude<MapOf<K>[F], undefined> | undefined, path: [...path, key, field] }
  }
  return undefined
}

/**
 * Of several fields that exclude each other, those the strongest layer names.
 * More than one is a mistake of the person's.
 */
export function pickOneOf<K extends MapKey, F extends keyof MapOf<K> & string>(
  draft: { layers: readonly Layer[] },
  key: K,
  fields: readonly F[],
): F[] {
  for (const { settings } of draft.layers.toReversed()) {
    const map = settings[key] as MapOf<K> | false | undefined
    if (map === false || Array.isArray(map)) return []
    if (map === undefined) continue
    const named = fields.filter((field) => Object.hasOwn(map, field))
    if (named.length > 0) return named
  }
  return []
}

/** A map's fields, wherever each was said. */
export interface Fields<M> {
  /** Of the map, or of the strongest layer's part of it. */
  path: Path
  said: <F extends keyof M & string>(field: F) => Said<Exclude<M[F], undefined>> | undefined
  /** Of several fields that exclude each other, those that are given. */
  named: <F extends keyof M & string>(fields: readonly F[]) => F[]
}

/** Of a map that the layers make together. */
export const fieldsOf = <K extends MapKey>(
  draft: { layers: readonly Layer[] },
  key: K,
): Fields<MapOf<K>> => ({
  path: pick(draft, key)?.path ?? [],
  said: (field) => pickField(draft, key, field),
  named: (fields) => pickOneOf(draft, key, fields),
})

/** Of one item of a list. */
export const fieldsOfItem = <M extends object>(item: M, path: Path): Fields<M> => ({
  path,
  said: (field) =>
    Object.hasOwn(item, field)
      ? { value: item[field] as Exclude<M[typeof field], undefined> | undefined, path: [...path, field] }
      : undefined,
  named: (fields) => fields.filter((field) => Object.hasOwn(item, field)),
})

/** The maps of a list, where there is one: it takes the place of what weaker layers say. */
export const itemsOf = <M extends object>(said: Said<unknown> | undefined): Fields<M>[] | undefined =>
  Array.isArray(said?.value)
    ? (said.value as (M | undefined)[]).flatMap((item, index) =>
        item === undefined ? [] : [fieldsOfItem(item, [...said.path, index])],
      )
    : undefined

/** Wi-Fi networks, preferred ones first: a list, or the one that the layers make together. */
export const networksOf = (draft: { layers: readonly Layer[] }): Fields<WifiSettings>[] =>
  itemsOf<WifiSettings>(pick(draft, 'wifi')) ?? [fieldsOf(draft, 'wifi')]

/** The node's user, and the accounts beside it. */
export const accountsOf = (draft: { layers: readonly Layer[] }): Fields<FurtherUserSettings>[] => [
  fieldsOf(draft, 'user') as Fields<FurtherUserSettings>,
  ...(itemsOf<FurtherUserSettings>(pick(draft, 'users')) ?? []),
]

/** A map's own value: `constructor` and its like are no nodes. */
export function ownOf<T>(map: Record<string, T | undefined> | undefined, key: string): T | undefined {
  return map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined
}
