/** Seeds from the folder seeds/, which seeds.gen.sh makes. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { packageRoot } from '../../src/package-root.ts'
import { packImage } from './sparse-image.ts'

const folder = (kind: string): string => join(packageRoot(), 'test/fuzz/seeds', kind)

/** Disk images whose names begin so, packed. */
export function diskSeeds(...prefixes: readonly string[]): Uint8Array[] {
  return readdirSync(folder('disk'))
    .filter((name) => prefixes.some((prefix) => name.startsWith(prefix)))
    .sort()
    .map((name) => packImage(gunzipSync(readFileSync(join(folder('disk'), name)))))
}

/** Files whose names end so. */
export function packedSeeds(...suffixes: readonly string[]): Uint8Array[] {
  return readdirSync(folder('packed'))
    .filter((name) => suffixes.some((suffix) => name.endsWith(suffix)))
    .sort()
    .map((name) => readFileSync(join(folder('packed'), name)))
}
