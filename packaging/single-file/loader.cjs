/**
 * Main script of the single executable: puts piimage's files where they can be
 * read, and runs one of its programs from there.
 *
 * The folder is named after the digest of what it holds, belongs to whoever
 * runs it, and is compared with the executable's own copy at each start: under
 * sudo nothing is run that a person's account could have changed.
 */
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const { createRequire } = require('node:module')
const os = require('node:os')
const path = require('node:path')
const { getAsset } = require('node:sea')

/** src/own-program.ts says it. */
const RUN_PROGRAM = '--piimage-program'

/** Where programs of this user may keep files. Root has a place of its own, whatever HOME says. */
function cacheFolder() {
  const { env, platform } = process
  const isRoot = process.geteuid?.() === 0
  if (platform === 'win32')
    return path.join(env.LOCALAPPDATA ?? path.join(os.homedir(), 'AppData', 'Local'), 'piimage')
  if (platform === 'darwin')
    return isRoot ? '/Library/Caches/piimage-root' : path.join(os.homedir(), 'Library', 'Caches', 'piimage')
  if (isRoot) return '/var/cache/piimage-root'
  return path.join(env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'piimage')
}

const assetOf = (name) => Buffer.from(getAsset(name))

/** Nobody else may write there, nor own it. */
function isOwn(folder) {
  if (process.platform === 'win32') return true
  const { uid, mode } = fs.lstatSync(folder)
  return uid === process.geteuid() && (mode & 0o022) === 0
}

/** Whether the folder holds every file just as the executable has it. */
function isWhole(folder, names) {
  try {
    if (!fs.lstatSync(folder).isDirectory() || !isOwn(folder)) return false
    return names.every((name) => fs.readFileSync(path.join(folder, name)).equals(assetOf(name)))
  } catch {
    return false
  }
}

function unpack(folder, names) {
  fs.mkdirSync(path.dirname(folder), { recursive: true, mode: 0o700 })
  const fresh = fs.mkdtempSync(`${folder}-`)
  for (const name of names) {
    const file = path.join(fresh, name)
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 })
    fs.writeFileSync(file, assetOf(name), { mode: /\.(?:sh|cjs)$/.test(name) ? 0o755 : 0o644 })
  }
  try {
    fs.renameSync(fresh, folder)
    return folder
  } catch {
    // Another start was faster, or somebody changed what lies there.
    if (isWhole(folder, names)) {
      fs.rmSync(fresh, { recursive: true, force: true })
      return folder
    }
    process.once('exit', () => fs.rmSync(fresh, { recursive: true, force: true }))
    return fresh
  }
}

const list = assetOf('files.json')
const names = JSON.parse(list.toString())
const digest = createHash('sha256').update(list)
for (const name of names) digest.update(assetOf(name))
const folder = path.join(cacheFolder(), `program-${digest.digest('hex').slice(0, 16)}`)
const home = isWhole(folder, names) ? folder : unpack(folder, names)

const [executable, , ...words] = process.argv
const [program, args] = words[0] === RUN_PROGRAM ? [words[1], words.slice(2)] : ['piimage.cjs', words]
if (!names.includes(program)) throw new Error(`piimage holds no program ${program}`)
const script = path.join(home, program)
process.argv = [executable, script, ...args]
createRequire(script)(script)
