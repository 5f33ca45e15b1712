/**
 * A folder for the front of PATH in which every program of this machine has a
 * double that keeps its arguments and its environment, then becomes the real
 * one. Unlike a look at /proc now and then, it misses nobody who is quick.
 */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const own = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin']

export interface SpyOptions {
  /** The folder of the doubles, as this machine sees it. */
  folder: string
  /** File that what was seen is added to, as the programs see it. */
  seen: string
  /** Stand-ins that go before the machine's programs: their folder as the programs see it, and their names. */
  standIns?: { folder: string; names: readonly string[] }
  /** Programs of this machine that must not seem to be there. */
  absent?: ReadonlySet<string>
}

export function laySpies({ folder, seen, standIns, absent = new Set() }: SpyOptions): void {
  mkdirSync(folder)
  const places = [...(standIns === undefined ? [] : [standIns.folder]), ...own]
  const script = `#!/bin/sh
name=\${0##*/}
# In one piece: several programs start at once.
record=$(printf '%s' "$name"; printf ' %s' "$@"; echo; /usr/bin/tr '\\0' '\\n' </proc/$$/environ)
printf '%s\\n' "$record" >>'${seen}'
for folder in ${places.join(' ')}; do
  [ ! -x "$folder/$name" ] || exec "$folder/$name" "$@"
done
exit 127
`
  writeFileSync(join(folder, '.spy'), script, { mode: 0o755 })
  const theirs = own.flatMap((place) => readdirSync(place)).filter((name) => !absent.has(name))
  for (const name of new Set([...(standIns?.names ?? []), ...theirs])) symlinkSync('.spy', join(folder, name))
}
