/**
 * piimage as a few plain files: each of its programs bundled with what it
 * imports, and beside them the folders that ship (overlays/, firstboot/ …).
 * The Debian packages and the single executables are made from this.
 *
 *     node packaging/bundle.mjs FOLDER
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Threads and processes of piimage's own, which it looks for beside its code: name → source file. */
function findPrograms() {
  const programs = {}
  for (const name of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue
    const text = readFileSync(join(root, 'src', name), 'utf8')
    for (const [, program] of text.matchAll(/new URL\(`\.\/([\w-]+)\$\{extname\(import\.meta\.url\)\}`/g))
      programs[program] = join(root, 'src', name, '..', `${program}.ts`)
  }
  return programs
}

/** The licences of what was bundled, which all of them ask to be kept. */
function formatLicences(paths) {
  const names = new Set(
    paths.flatMap((path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.slice(1, 2) ?? []),
  )
  return [...names].sort().map((name) => {
    const folder = join(root, 'node_modules', name)
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
    const text = file === undefined ? `Licence: ${license}\n` : readFileSync(join(folder, file), 'utf8')
    return `${name} ${version}\n\n${text.trim()}\n`
  })
}

/** @returns the files and folders that `folder` holds now, as paths below it */
export async function bundle(folder) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const programs = { piimage: join(root, 'src/cli.ts'), ...findPrograms() }
  const bundled = new Set()
  for (const [name, input] of Object.entries(programs)) {
    const build = await rolldown({
      input,
      cwd: root,
      platform: 'node',
      external: ['@napi-rs/lzma/xz'],
      transform: {
        target: 'node20.19',
        define: {
          'import.meta.url': 'moduleUrl',
          'import.meta.dirname': '__dirname',
          // Of yargs, which asks it for a feature that is not used here.
          'import.meta': '{}',
        },
      },
    })
    const { output } = await build.write({
      file: join(folder, `${name}.cjs`),
      // CommonJS: what a single executable of Node 20 starts.
      format: 'cjs',
      codeSplitting: false,
      intro: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;",
    })
    await build.close()
    for (const { moduleIds = [] } of output) for (const id of moduleIds) bundled.add(id)
  }
  writeFileSync(
    join(folder, 'THIRD-PARTY-LICENSES'),
    formatLicences([...bundled]).join(`\n${'-'.repeat(79)}\n\n`),
  )
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const shipped = [...files.filter((name) => name !== 'dist'), 'package.json', 'package-lock.json', 'LICENSE']
  for (const name of shipped)
    if (existsSync(join(root, name))) cpSync(join(root, name), join(folder, name), { recursive: true })
  chmodSync(join(folder, 'piimage.cjs'), 0o755)
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle(process.argv[2] ?? 'build/bundle')
