/** The nodes as they stand in the cluster file, and what makes a card each of them. */
import { useState } from 'preact/hooks'
import type { NodeView, TableView } from '../src/station/view.ts'
import { formatBytes } from '../src/units.ts'
import type { NodePlan } from '../src/work/events.ts'
import { Failure } from './dialog.tsx'
import { ask, Refused } from './state.ts'

export function ClusterView({ table: { cluster } }: { table: TableView }) {
  return (
    <>
      <p>
        From <code>{cluster.file}</code>; this page follows the file as you save it.
      </p>
      <div class="nodes">
        {cluster.nodes.map((node) => (
          <Node key={node.name} node={node} />
        ))}
      </div>
    </>
  )
}

function Node({ node }: { node: NodeView }) {
  const { name, board, address, role, boot, overlays, image } = node
  const [plan, setPlan] = useState<NodePlan | null>(null)
  const [refused, setRefused] = useState<Refused | null>(null)
  const [isAsking, setIsAsking] = useState(false)
  const show = async () => {
    setIsAsking(true)
    setRefused(null)
    try {
      setPlan(await ask<NodePlan>(`plan?node=${encodeURIComponent(name)}`))
    } catch (error) {
      setPlan(null)
      setRefused(error instanceof Refused ? error : new Refused('the station does not answer'))
    }
    setIsAsking(false)
  }
  return (
    <article class="node" aria-label={name}>
      <h2>{name}</h2>
      <dl>
        <dt>Board</dt>
        <dd>{board}</dd>
        <dt>Address</dt>
        <dd>{address ?? 'from DHCP'}</dd>
        <dt>Role</dt>
        <dd>{role}</dd>
        <dt>Starts from</dt>
        <dd>{boot === 'card' ? 'a card' : 'the network'}</dd>
        <dt>Image</dt>
        <dd>{image}</dd>
        <dt>Overlays</dt>
        <dd>{overlays.join(', ')}</dd>
      </dl>
      <button type="button" onClick={() => void show()} disabled={isAsking}>
        {isAsking ? 'Planning …' : plan === null ? `Show the plan of ${name}` : 'Plan again'}
      </button>
      {refused === null ? null : <Failure message={refused.message} hint={refused.hint} />}
      {plan === null ? null : <Plan plan={plan} />}
    </article>
  )
}

function Plan({
  plan: { node, diff, bytesToWrite, imageBytes, sectorsChanged, warnings },
}: {
  plan: NodePlan
}) {
  return (
    <section aria-label={`Plan of ${node}`}>
      <p>
        {formatBytes(bytesToWrite)} of {formatBytes(imageBytes)} to write, {sectorsChanged} sectors changed.
      </p>
      {warnings.map((warning) => (
        <p key={warning} class="notice">
          {warning}
        </p>
      ))}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard. */}
      <pre class="diff" tabIndex={0}>
        {diff.split('\n').map((line, at) => (
          <span
            key={`${at} ${line}`}
            class={line.startsWith('+') ? 'plus' : line.startsWith('-') ? 'minus' : ''}
          >
            {line}
            {'\n'}
          </span>
        ))}
      </pre>
    </section>
  )
}
