/** The page of `piimage station`, with the little it needs, in one file: public/page.js. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const licence = readFileSync(here('../node_modules/preact/LICENSE'), 'utf8').trim()
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
  postBanner: `/*! preact\n${licence}\n*/`,
})
await build.close()
