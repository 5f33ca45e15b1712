/** A process of its own that fetches and unpacks one image; run by cache-processes.test.ts. Arguments: cache folder, LockedImage as JSON. */
import { copyFile } from 'node:fs/promises'
import { openCache } from '../../src/fetch/cache.ts'
import { fetchImage } from '../../src/fetch/fetch-image.ts'
import { hashFile } from '../../src/fetch/hash-file.ts'
import { openHttp } from '../../src/fetch/http.ts'

const [folder = '', json = ''] = process.argv.slice(2)
const image = JSON.parse(json)
const task = { report() {}, signal: new AbortController().signal }
const http = openHttp({ env: {} })
const cache = await openCache(folder, {
  onWait: (message) => process.stdout.write(`${message}\n`),
  stateFolder: `${folder}/state`,
})
const built = await cache.withImage(
  image,
  async (partial) => {
    process.stdout.write('builds\n')
    await copyFile(await fetchImage(image, cache, { http, offline: false }, task), partial)
    return hashFile(partial, task, image.key)
  },
  task,
)
process.stdout.write(`done ${built.sha256}\n`)
