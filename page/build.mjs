/** The page of `piimage station`, with the little it needs, in one file: public/page.js. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
/** Of what is built in, which asks for that. */
const licences = ['preact', 'lean-qr'].map(
  (name) => `/*! ${name}\n${readFileSync(here(`../node_modules/${name}/LICENSE`), 'utf8').trim()}\n*/`,
)
const build = await rolldown({
  input: here('main.tsx'),
  platform: 'browser',
  tsconfig: here('tsconfig.json'),
})
await build.write({
  file: here('public/page.js'),
  format: 'esm',
  minify: true,
  codeSplitting: false,
  postBanner: licences.join('\n'),
})
await build.close()
