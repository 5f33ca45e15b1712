/**
 * A terminal's text on stdin → a picture of it (SVG) on stdout. How the one in
 * the README is made:
 *
 *   npm run -s demo 2>&1 | node examples/demo/picture.mjs >examples/demo/demo.svg
 */
const PLAN_LINES = 24
const COLUMNS = 118
const LINE_PX = 18
const CHARACTER_PX = 8.4

let text = ''
process.stdin.setEncoding('utf8')
for await (const chunk of process.stdin) text += chunk

/** Part of the plan, the flash, and one of the three inspections: the rest looks the same. */
function shorten(lines) {
  const at = (start) => lines.findIndex((line) => line.startsWith(start))
  const plan = lines.slice(at('$ piimage plan'), at('$ piimage plan') + PLAN_LINES)
  const flash = lines.slice(at('$ piimage flash') - 1, at('$ piimage inspect hammond'))
  const inspect = lines.slice(at('$ piimage inspect oneil'), at('$ piimage inspect carter') - 1)
  return [...lines.slice(2, at('$ piimage plan')), ...plan, '  …', ...flash, ...inspect]
}

const colours = [
  [/^\$ /, '#8be9fd'],
  [/^\+(?!\+\+)/, '#50fa7b'],
  [/^-(?!--)/, '#ff7b72'],
  [/^(@@|\+\+\+|---)/, '#bd93f9'],
  [/^(equal|.*read back and equal)/, '#f1fa8c'],
]
const escaped = (line) => line.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c])
const cut = (line) => (line.length > COLUMNS ? `${line.slice(0, COLUMNS - 1)}…` : line)

const lines = shorten(
  text
    .replace(/\/tmp\/piimage-demo-\w+/g, '/tmp/demo')
    .trimEnd()
    .split('\n'),
)
const width = Math.round(COLUMNS * CHARACTER_PX) + 32
const height = lines.length * LINE_PX + 32
const rows = lines.map((line, index) => {
  const colour = colours.find(([pattern]) => pattern.test(line))?.[1] ?? '#e6e6e6'
  return `<text x="16" y="${index * LINE_PX + 30}" fill="${colour}" xml:space="preserve">${escaped(cut(line))}</text>`
})
process.stdout.write(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>piimage: three nodes written to card files, read back, and inspected</title>
<rect width="100%" height="100%" rx="8" fill="#1e1f29"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14">
${rows.join('\n')}
</g>
</svg>
`)
