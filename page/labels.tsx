/** A sheet to print: what goes on each card or board. */
import { toSvgPath } from 'lean-qr/extras/svg'
import { generate } from 'lean-qr/nano'
import type { NodeView, TableView } from '../src/station/view.ts'

export function LabelsView({ table: { cluster } }: { table: TableView }) {
  return (
    <>
      <p class="screen">
        <button type="button" onClick={() => print()}>
          Print
        </button>
      </p>
      <ul class="labels">
        {cluster.nodes.map((node) => (
          <Label key={node.name} node={node} />
        ))}
      </ul>
    </>
  )
}

function Label({ node: { name, address, login, board, done } }: { node: NodeView }) {
  const digest = done?.plan ?? null
  const lines = [login === null ? name : `ssh ${login}`, ...(digest === null ? [] : [`sha256:${digest}`])]
  return (
    <li>
      <Code text={lines.join('\n')} />
      <div>
        <p class="name">{name}</p>
        <p>{address ?? 'address from DHCP'}</p>
        {login === null ? null : <p>ssh {login}</p>}
        <p class="small">
          {board}
          {digest === null ? '' : ` · ${digest.slice(0, 12)}`}
        </p>
      </div>
    </li>
  )
}

/** Cells of quiet around a code, which readers want. */
const QUIET = 4

function Code({ text }: { text: string }) {
  const code = generate(text)
  const size = code.size + 2 * QUIET
  return (
    <svg
      class="code"
      viewBox={`${-QUIET} ${-QUIET} ${size} ${size}`}
      role="img"
      aria-label={`QR code: ${text}`}
    >
      <path d={toSvgPath(code)} />
    </svg>
  )
}
