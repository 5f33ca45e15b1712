/** Which nodes have their card: when, on which, and whether it was put back in. */
import type { NodeView } from '../src/station/view.ts'
import { describeTime } from './words.ts'

export function Journal({ nodes }: { nodes: readonly NodeView[] }) {
  return (
    <section aria-labelledby="journal">
      <h2 id="journal">Journal</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard. */}
      <section class="scroll" tabIndex={0} aria-label="Nodes and their cards">
        <table>
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col">Card</th>
              <th scope="col">Made</th>
              <th scope="col">Reader</th>
              <th scope="col">Put back in</th>
            </tr>
          </thead>
          <tbody>
            {nodes.map(({ name, done }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>
                  {done === null ? 'none yet' : done.outdated ? 'from an older cluster file' : '✓ done'}
                </td>
                <td>{done === null ? '' : describeTime(done.at)}</td>
                <td>
                  {done === null
                    ? ''
                    : `${done.drive}${done.serial === null ? '' : `, serial ${done.serial}`}`}
                </td>
                <td>
                  {done === null
                    ? ''
                    : done.compared === null
                      ? 'not yet'
                      : `✓ equal, ${describeTime(done.compared)}`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </section>
  )
}
