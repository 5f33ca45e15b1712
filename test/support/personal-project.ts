/** A cluster with everything secret that a person gives, and the search for it and for all that is derived. */
import { readFileSync, writeFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { joinKey } from '../../src/features/swarm/artifacts.ts'
import { readClusterKey } from '../../src/secrets/cluster-key.ts'
import { derive } from '../../src/secrets/derive.ts'
import { sshHostKey } from '../../src/secrets/identity.ts'
import { nodeKeys } from '../../src/secrets/node-keys.ts'
import { demoProject, type Project } from './project.ts'
import { allPurposes } from './purposes.ts'

export const HASH =
  '$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/'
export const PSK = 'ab12cd34'.repeat(8)
export const SSH_KEY = 'AAAAC3NzaC1lZDI1NTE5AAAAIOBv2xxjxLLiPpuVHul6I9HGcSzaF0d1Erhx8WGo8XWe'

/** The demo with everything a person puts into a cluster file. */
export function personalProject(t: TestContext): Project {
  const project = demoProject(t)
  const text = readFileSync(project.file('cluster.yaml'), 'utf8')
  const user = `user:\n  passwordHash: '${HASH}'\n`
  const wifi = `wifi: { ssid: gate, pskFile: home.psk, country: NL }\n\nnetwork:`
  writeFileSync(
    project.file('cluster.yaml'),
    text.replace('user:\n', user).replace('\nnetwork:', `\n${wifi}`),
  )
  writeFileSync(project.file('home.psk'), `${PSK}\n`, { mode: 0o600 })
  return project
}

/** Everything secret that this cluster's key and file can give, in every form it is written in. */
export async function secretsOf(project: Project): Promise<Buffer[]> {
  const key = await readClusterKey(project.file('cluster.key'))
  const texts = [HASH, PSK, SSH_KEY, Buffer.from(key.reveal()).toString('hex')]
  const raw: Buffer[] = [Buffer.from(key.reveal())]
  for (const node of ['hammond', 'oneil', 'carter']) {
    for (const pair of [sshHostKey(key, node), joinKey(nodeKeys(key), node)]) {
      // The second line of the file on: the first ones are the same in every key.
      texts.push(...pair.privateKey.reveal().split('\n').slice(2, 5), pair.publicLine.split(' ')[1] ?? '')
    }
  }
  for (const purpose of allPurposes) {
    for (const subject of ['', 'hammond', 'oneil', 'carter', 'ops']) {
      const bytes = derive(key, purpose, subject, 16)
      raw.push(bytes)
      texts.push(bytes.toString('hex'), bytes.toString('base64').replace(/=+$/, ''))
    }
  }
  return [...raw, ...texts.map((text) => Buffer.from(text))]
}

/** Which of them stand in these bytes. */
export const findIn = (bytes: Buffer, secrets: readonly Buffer[]): string[] =>
  secrets.filter((secret) => bytes.includes(secret)).map((secret) => secret.toString('latin1'))
