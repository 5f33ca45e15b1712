import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from '../src/errors.ts'
import { formatIni } from '../src/ini.ts'

test('sections and settings in their order; what is undefined is left out', () => {
  assert.equal(
    formatIni({
      Unit: [{ Description: 'a b' }, { Wants: 'a.mount', After: 'a.mount' }, { Wants: 'b.mount' }],
      Mount: undefined,
      Network: { '#': 'why', DNS: ['10.0.0.1', '10.0.0.2'], Domains: undefined, DHCP: 'no' },
    }),
    '[Unit]\nDescription=a b\nWants=a.mount\nAfter=a.mount\nWants=b.mount\n' +
      '\n[Network]\n# why\nDNS=10.0.0.1\nDNS=10.0.0.2\nDHCP=no\n',
  )
})

test('no value becomes a second setting', () => {
  assert.throws(() => formatIni({ Service: { ExecStart: '/bin/a\nExecStart=/bin/b' } }), UsageError)
})
