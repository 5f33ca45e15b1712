import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatKey, parseImageName, parseKey } from '../../src/catalog/names.ts'

const cases: { url: string; key: string | undefined; format?: string }[] = [
  {
    url: 'https://x/2026-06-18-raspios-trixie-arm64-lite.img.xz',
    key: 'raspios-trixie-arm64-lite@2026-06-18',
    format: 'xz',
  },
  {
    url: 'https://x/2025-11-24-raspios-bookworm-armhf.img.xz',
    key: 'raspios-bookworm-armhf-desktop@2025-11-24',
  },
  {
    url: 'https://x/2025-11-24-raspios-bookworm-arm64-full.img.xz?a=/b',
    key: 'raspios-bookworm-arm64-full@2025-11-24',
  },
  {
    url: 'https://x/2021-05-07-raspios-buster-armhf-lite.zip',
    key: 'raspios-buster-armhf-lite@2021-05-07',
    format: 'zip',
  },
  {
    url: 'http://x/2018-11-13-raspbian-stretch-lite.zip',
    key: 'raspbian-stretch-armhf-lite@2018-11-13',
    format: 'zip',
  },
  { url: 'https://x/v1.12.3/hypriotos-rpi-v1.12.3.img.zip', key: 'hypriotos-rpi@v1.12.3', format: 'zip' },
  { url: 'https://x/hypriotos-rpi64-v20180429-184538.img.zip', key: 'hypriotos-rpi64@v20180429-184538' },
  {
    url: 'https://dist.8086.net/clusterctrl/bookworm/2025-11-24/2025-11-24-1-bookworm-ClusterCTRL-arm64-lite-CBRIDGE.img.xz',
    key: 'clusterctrl-bookworm-arm64-lite-cbridge@2025-11-24-1',
    format: 'xz',
  },
  {
    url: 'https://dist.8086.net/clusterctrl/usbboot/bookworm/2025-11-24/2025-11-24-1-bookworm-ClusterCTRL-arm64-lite-usbboot.tar.xz',
    key: 'clusterctrl-bookworm-arm64-lite-usbboot@2025-11-24-1',
    format: 'tar.xz',
  },
  {
    url: 'https://x/2023-05-03-4-bullseye-ClusterCTRL-armhf-CNAT.zip',
    key: 'clusterctrl-bullseye-armhf-desktop-cnat@2023-05-03-4',
  },
  {
    url: 'https://dist1.8086.net/clusterctrl/buster/2020-12-02/2020-12-02-1-ClusterCTRL-armhf-lite-p252.zip',
    key: 'clusterctrl-buster-armhf-lite-p252@2020-12-02-1',
  },
  {
    url: 'http://x/ClusterCTRL-2020-02-13-std-1-CBRIDGE.zip',
    key: 'clusterctrl-armhf-desktop-cbridge@2020-02-13-1',
  },
  {
    url: 'http://x/clusterhat/ClusterHAT-2019-04-08-lite-1-controller.zip',
    key: 'clusterctrl-armhf-lite-controller@2019-04-08-1',
  },
  {
    url: 'http://cdimage.ubuntu.com/releases/noble/release/ubuntu-24.04.3-preinstalled-server-arm64%2Braspi.img.xz',
    key: 'ubuntu-noble-arm64-server@24.04.3',
  },
  { url: 'https://downloads.raspberrypi.com/raspios_lite_arm64_latest', key: undefined },
  // A name people write that was never published; it reads as the older scheme.
  {
    url: 'https://x/ClusterCTRL-2021-10-30-lite-1-CNAT.img',
    key: 'clusterctrl-armhf-lite-cnat@2021-10-30-1',
  },
  { url: 'https://x/demo.img.xz', key: undefined },
  { url: 'https://x/%E0%A4%A.img.xz', key: undefined },
  { url: 'https://x/', key: undefined },
]
for (const { url, key, format } of cases) {
  test(`parseImageName: ${url.slice(url.lastIndexOf('/') + 1) || url}`, () => {
    const name = parseImageName(url)
    assert.equal(name === undefined ? undefined : formatKey(name), key)
    if (format !== undefined) assert.equal(name?.format, format)
  })
}

test('parseKey', () => {
  assert.deepEqual(parseKey('clusterctrl-bookworm-arm64-lite-cbridge@2025-11-24-1'), {
    os: 'clusterctrl',
    release: 'bookworm',
    version: '2025-11-24-1',
    arch: 'arm64',
    variant: 'lite-cbridge',
  })
  assert.deepEqual(parseKey('magi-armhf-head@1'), {
    os: 'other',
    release: null,
    version: '1',
    arch: 'armhf',
    variant: 'head',
  })
  for (const bad of ['demo@1', 'x-arm64-lite', '..@x', 'A-arm64-b@1', ''])
    assert.equal(parseKey(bad), undefined, bad)
})
