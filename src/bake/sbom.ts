/**
 * What a baked image is made of, for tools that keep account: the base image
 * with its digests, the overlays, and piimage with its packages.
 *
 * No clock and nothing random: the same image has the same bill of materials.
 *
 * Source: CycloneDX 1.5, JSON (bom-1.5.schema.json).
 */
import { uuidOf } from '../uuid.ts'

export interface Sbom {
  /** The baked file: its name, its digest, and the digest of the image in it. */
  name: string
  sha256: string
  extractedSha256: string
  node: string
  base: {
    key: string
    version: string
    url: string
    downloadSha256: string
    extractedSha256: string
    /** Who says that these are the digests. */
    source: string
  }
  overlays: readonly string[]
  piimage: string
  packages: readonly Package[]
}

export interface Package {
  name: string
  version: string
  license?: string
  /** As npm writes it: `sha512-<base64>`. */
  integrity?: string
}

export function formatSbom(sbom: Sbom): string {
  const { base } = sbom
  const image = `image:${base.key}`
  const overlays = sbom.overlays.map((name) => ({
    type: 'data',
    'bom-ref': `overlay:${name}`,
    name: `overlay ${name}`,
    version: sbom.piimage,
  }))
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${uuidOf(`${sbom.name} ${sbom.sha256}`)}`,
    version: 1,
    metadata: {
      tools: {
        components: [
          { type: 'application', 'bom-ref': 'piimage', name: 'piimage', version: sbom.piimage },
          ...sbom.packages.map(packageComponent),
        ],
      },
      component: {
        type: 'firmware',
        'bom-ref': 'baked',
        name: sbom.name,
        version: base.version,
        description: `Node ${sbom.node} on ${base.key}`,
        hashes: [sha256(sbom.sha256)],
        properties: [{ name: 'piimage:extracted-sha256', value: sbom.extractedSha256 }],
      },
    },
    components: [
      {
        type: 'operating-system',
        'bom-ref': image,
        name: base.key.split('@', 1)[0],
        version: base.version,
        hashes: [sha256(base.extractedSha256)],
        externalReferences: [
          {
            type: 'distribution',
            url: base.url,
            hashes: [sha256(base.downloadSha256)],
            comment: base.source,
          },
        ],
      },
      ...overlays,
    ],
    dependencies: [{ ref: 'baked', dependsOn: [image, ...overlays.map((overlay) => overlay['bom-ref'])] }],
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

const sha256 = (content: string): object => ({ alg: 'SHA-256', content })

function packageComponent({ name, version, license, integrity }: Package): object {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`
  const sha512 = /^sha512-(.+)$/.exec(integrity ?? '')?.[1]
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    licenses: license === undefined ? undefined : [{ expression: license }],
    purl,
    hashes: sha512 && [{ alg: 'SHA-512', content: Buffer.from(sha512, 'base64').toString('hex') }],
  }
}

/** The packages that run when piimage runs, from the text of its package-lock.json. */
export function packagesOf(lockText: string): Package[] {
  const { packages } = JSON.parse(lockText) as {
    packages: Record<string, { version?: string; license?: string; integrity?: string; dev?: boolean }>
  }
  return Object.entries(packages)
    .filter(([path, { dev, version }]) => path !== '' && dev !== true && version !== undefined)
    .map(([path, { version = '', license, integrity }]) => ({
      name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version,
      license,
      integrity,
    }))
}
