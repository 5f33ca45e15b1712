/**
 * Files that somebody brings along on the command line, in place of the image's
 * own: user-data, meta-data, config.txt, and any other file of the boot partition.
 *
 * They stand where the image's files stood; what the node and its overlays ask
 * for is merged over them. So `--hostname` wins over a `hostname:` in the file,
 * and a list has the file's entries first.
 */

import { parseUserData, parseYamlMap } from '../boot/cloud-init.ts'
import { FormatError } from '../errors.ts'
import type { GivenFiles } from '../node/state.ts'
import { findSecrets } from './find-secrets.ts'

/** A file as it was read: where from, and its text. */
export interface GivenText {
  name: string
  text: string
}

/** @throws {FormatError} YAML that cloud-init would not take; says which file */
export function readExtras(given: {
  userData?: GivenText
  metaData?: GivenText
  configTxt?: GivenText
  files: ReadonlyMap<string, Uint8Array>
}): GivenFiles {
  const { userData, metaData, configTxt, files } = given
  return {
    userData: userData === undefined ? undefined : parseUserData(userData.text, userData.name),
    metaData: metaData === undefined ? undefined : parseYamlMap(metaData.text, metaData.name),
    configTxt: configTxt?.text,
    files,
    secrets: [userData, metaData].flatMap((file) => (file === undefined ? [] : findSecrets(file.text))),
  }
}

/** @throws {FormatError} not text */
export function decodeText(bytes: Uint8Array, name: string): GivenText {
  try {
    return { name, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch (cause) {
    throw new FormatError(`${name} is not UTF-8 text`, { hint: 'Save it as UTF-8.', cause })
  }
}
