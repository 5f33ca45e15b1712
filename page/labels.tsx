/** A sheet to print: what goes on each card or board. */
import type { TableView } from '../src/station/view.ts'

export function LabelsView({ table: { cluster } }: { table: TableView }) {
  return (
    <>
      <p class="screen">
        <button type="button" onClick={() => print()}>
          Print
        </button>
      </p>
      <ul class="labels">
        {cluster.nodes.map(({ name, address, login, board, done }) => (
          <li key={name}>
            <p class="name">{name}</p>
            <p>{address ?? 'address from DHCP'}</p>
            {login === null ? null : <p>ssh {login}</p>}
            <p class="small">
              {board}
              {done?.plan ? ` · ${done.plan.slice(0, 12)}` : ''}
            </p>
          </li>
        ))}
      </ul>
    </>
  )
}
