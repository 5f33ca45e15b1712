/** The table of cards: what is in each reader, what it becomes, how far it is, and what to do next. */
import { useState } from 'preact/hooks'
import type { CardView, NodeView, ResultView, SlotView, TableView } from '../src/station/view.ts'
import { formatBytes } from '../src/units.ts'
import { Dialog, Failure } from './dialog.tsx'
import { Journal } from './journal.tsx'
import { order, type Rate } from './state.ts'
import { count, describeProgress, describeRate, describeSeconds } from './words.ts'

interface Props {
  table: TableView
  rates: ReadonlyMap<string, Rate>
}

/** Nodes that need a card and get none yet, the next one first. */
function waitingNodes({ cluster, slots }: TableView): NodeView[] {
  const busy = new Set(slots.flatMap(({ work }) => (work?.kind === 'write' ? [work.node] : [])))
  return cluster.nodes.filter(({ name, boot, done }) => boot === 'card' && done === null && !busy.has(name))
}

export function CardsView({ table, rates }: Props) {
  const { cluster, slots } = table
  const waiting = waitingNodes(table)
  const nodes = cluster.nodes.filter(({ boot }) => boot === 'card')
  const done = nodes.filter((node) => node.done !== null).length
  return (
    <>
      <p class="sum">
        <strong>
          {done} of {count(nodes.length, 'node')}
        </strong>{' '}
        {done === 1 ? 'has its' : 'have their'} card.
      </p>
      <Batch table={table} waiting={waiting} />
      {slots.length === 0 ? (
        <p class="empty">No card is in. Put one into a reader: it shows here at once.</p>
      ) : null}
      <div class="slots">
        {slots.map((slot) => (
          <Slot key={slot.slot} slot={slot} table={table} waiting={waiting} rate={rates.get(slot.slot)} />
        ))}
      </div>
      <Journal nodes={nodes} />
    </>
  )
}

function Batch({ table, waiting }: { table: TableView; waiting: readonly NodeView[] }) {
  const [isAsking, setIsAsking] = useState(false)
  const [next] = waiting
  if (table.armed)
    return (
      <section class="batch on" aria-label="Batch">
        <p>
          <strong>The batch is on.</strong>{' '}
          {next === undefined
            ? 'No node waits for a card.'
            : `The next card that is put in becomes ${next.name}.`}
        </p>
        <button type="button" onClick={() => void order('arm', { armed: false })}>
          Stop the batch
        </button>
      </section>
    )
  if (next === undefined) return null
  return (
    <section class="batch" aria-label="Batch">
      <p>
        Many cards? In a batch every card that is put in becomes the next node, without a question each time.
      </p>
      <button type="button" onClick={() => setIsAsking(true)}>
        Start a batch …
      </button>
      {isAsking ? <BatchQuestion table={table} waiting={waiting} onClose={() => setIsAsking(false)} /> : null}
    </section>
  )
}

function BatchQuestion({
  table,
  waiting,
  onClose,
}: {
  table: TableView
  waiting: readonly NodeView[]
  onClose: () => void
}) {
  const cards = table.slots.flatMap(({ card, work }) =>
    card !== null && work === null && card.refusal === null && card.unproven === null ? [card] : [],
  )
  const [media, setMedia] = useState<readonly string[]>([])
  const toggle = (medium: string) =>
    setMedia((given) => (given.includes(medium) ? given.filter((one) => one !== medium) : [...given, medium]))
  return (
    <Dialog
      title="Start a batch?"
      yes="Start the batch"
      onYes={() => order('arm', { armed: true, media })}
      onClose={onClose}
    >
      <p>
        <strong>Every card that is put in from then on is erased without a question</strong>, and becomes the
        next of {waiting.map(({ name }) => name).join(', ')}. Cards of another cluster, and those that hold
        what piimage did not write, are left as they are until you choose their node.
      </p>
      {cards.length === 0 ? null : (
        <fieldset>
          <legend>Cards that are in already: erase them, too?</legend>
          {cards.map((card) => (
            <label key={card.medium}>
              <input
                type="checkbox"
                checked={media.includes(card.medium)}
                onChange={() => toggle(card.medium)}
              />{' '}
              {card.path}: {describeCard(card)}. {describeContents(card)}
            </label>
          ))}
        </fieldset>
      )}
    </Dialog>
  )
}

const describeCard = ({ size, model, serial, bus }: CardView): string =>
  [formatBytes(size), bus === 'other' ? '' : bus, model ?? '', serial === null ? '' : `serial ${serial}`]
    .filter((word) => word !== '')
    .join(', ')

function describeContents({ holds, receipt, foreign }: CardView): string {
  if (receipt !== null) return `It is the card of ${receipt.node} (${receipt.cluster}).`
  if (holds.length === 0) return 'Nothing that is known is on it.'
  return foreign
    ? `It holds ${holds.join(', ')}, which piimage did not write.`
    : `It holds ${holds.join(', ')}.`
}

/** As people type it. */
const isSame = (one: string, other: string): boolean => plain(one) === plain(other)
const plain = (text: string): string => text.trim().toLowerCase().replaceAll(/\s+/g, ' ')

interface SlotProps {
  slot: SlotView
  table: TableView
  waiting: readonly NodeView[]
  rate: Rate | undefined
}

function Slot({ slot, table, waiting, rate }: SlotProps) {
  const { slot: name, card, work, result } = slot
  const isDone = result?.kind === 'written' || result?.kind === 'compared'
  const choose =
    card !== null && work === null && card.refusal === null ? (
      <Choose slot={name} card={card} table={table} waiting={waiting} />
    ) : null
  return (
    <article class={`slot ${kindOf(slot)}`} aria-label={name}>
      <h2>{name}</h2>
      {card === null ? (
        work === null ? (
          <p class="empty">No card is in.</p>
        ) : null
      ) : (
        <p class="facts">
          {describeCard(card)}
          {isDone ? null : (
            <>
              <br />
              {describeContents(card)}
            </>
          )}
        </p>
      )}
      {work !== null ? <Working slot={slot} table={table} rate={rate} /> : null}
      {result !== null ? <Result result={result} slot={slot} table={table} /> : null}
      {card?.refusal ? <Failure message={card.refusal.message} hint={card.refusal.hint} /> : null}
      {choose !== null && isDone ? (
        <details>
          <summary>Use this card for something else</summary>
          {choose}
        </details>
      ) : (
        choose
      )}
    </article>
  )
}

function kindOf({ card, work, result }: SlotView): string {
  if (work !== null) return 'busy'
  if (result?.kind === 'failed' || card?.refusal) return 'bad'
  if (result?.kind === 'written' || result?.kind === 'compared') return 'good'
  return card === null ? 'free' : ''
}

function Working({ slot: { slot, work }, table, rate }: Pick<SlotProps, 'slot' | 'table' | 'rate'>) {
  if (work === null) return null
  const { kind, node, progress } = work
  const image = table.cluster.nodes.find(({ name }) => name === node)?.image
  const shared = table.images.find(({ subject }) => subject === image)
  const shown = progress ?? shared ?? null
  return (
    <div class="work">
      <p class="name">
        <span class="small">{kind === 'write' ? 'becomes' : 'is compared with'}</span> {node}
      </p>
      <progress
        aria-label={`${node} in ${slot}`}
        max={shown?.totalBytes ?? 1}
        value={shown === null || shown.totalBytes === null ? undefined : shown.bytes}
      />
      <p>
        {shown === null ? 'Preparing …' : describeProgress(shown)}
        <br />
        {progress === null || rate === undefined ? '' : describeRate(rate)}
      </p>
      <p>Leave the card in.</p>
      <button type="button" onClick={() => void order('stop', { slot })}>
        Stop
      </button>
    </div>
  )
}

function Result({ result, slot, table }: { result: ResultView } & Pick<SlotProps, 'slot' | 'table'>) {
  const node = 'node' in result ? table.cluster.nodes.find(({ name }) => name === result.node) : undefined
  if (result.kind === 'left')
    return <Failure message={`Left as it is: ${result.reason}`} hint={result.hint} />
  if (result.kind === 'failed')
    return (
      <>
        <p class="name">
          <span class="small">{result.during === 'write' ? 'did not become' : 'is not'}</span> {result.node}
        </p>
        <Failure message={result.error.message} hint={result.error.hint} />
      </>
    )
  return (
    <div class="done">
      <p class="state">
        ✓ {result.kind === 'written' ? 'Done: written and read back' : 'Compared once more: equal'}
      </p>
      <p class="name">{result.node}</p>
      <p>
        {slot.card === null ? 'It is out.' : 'Take it out.'} Write “{result.node}” on it.
      </p>
      {node?.login ? <Login login={node.login} address={node.address} /> : null}
      {result.kind === 'written' ? (
        <p class="small">
          {formatBytes(result.bytes)} in {describeSeconds(result.seconds)}. Some cards forget: put it in once
          more, and it is compared again.
        </p>
      ) : null}
    </div>
  )
}

/** What to type a few minutes after power-on. */
function Login({ login, address }: { login: string; address: string | null }) {
  const [isCopied, setIsCopied] = useState(false)
  const line = `ssh ${login}`
  const copy = async () => {
    await navigator.clipboard.writeText(line)
    setIsCopied(true)
  }
  return (
    <p>
      {address === null ? 'Its address comes from DHCP.' : `Address ${address}`}
      <br />
      <code>{line}</code>{' '}
      <button type="button" onClick={() => void copy().catch(() => setIsCopied(false))}>
        {isCopied ? 'Copied' : 'Copy'}
      </button>
    </p>
  )
}

interface ChooseProps {
  slot: string
  card: CardView
  table: TableView
  waiting: readonly NodeView[]
}

function Choose({ slot, card, table, waiting }: ChooseProps) {
  const [chosen, setChosen] = useState('')
  const [isAsking, setIsAsking] = useState(false)
  const [problem, setProblem] = useState<Error | null>(null)
  const nodes = table.cluster.nodes.filter(({ boot }) => boot === 'card')
  const owner = card.receipt?.cluster === table.cluster.name ? card.receipt?.node : undefined
  const name = chosen || (nodes.find((one) => one.name === owner) ?? waiting[0] ?? nodes[0])?.name
  const node = nodes.find((one) => one.name === name)
  if (node === undefined) return null
  const id = `node-${card.medium}`
  return (
    <div class="choose">
      <label for={id}>Becomes</label>
      <select id={id} value={node.name} onChange={(event) => setChosen(event.currentTarget.value)}>
        {nodes.map((one) => (
          <option key={one.name} value={one.name}>
            {one.name}
            {one.done === null ? '' : ' (has its card)'}
          </option>
        ))}
      </select>
      <button type="button" class="main" onClick={() => setIsAsking(true)}>
        Write …
      </button>
      {owner === undefined ? null : (
        <button
          type="button"
          onClick={() => void order('compare', { slot, medium: card.medium }).catch(setProblem)}
        >
          Compare
        </button>
      )}
      {problem === null ? null : <Failure message={problem.message} />}
      {isAsking ? (
        <WriteQuestion slot={slot} card={card} node={node} onClose={() => setIsAsking(false)} />
      ) : null}
    </div>
  )
}

function WriteQuestion({
  slot,
  card,
  node,
  onClose,
}: {
  slot: string
  card: CardView
  node: NodeView
  onClose: () => void
}) {
  const [again, setAgain] = useState(false)
  const [typed, setTyped] = useState('')
  const { name, done, board, address } = node
  const { unproven } = card
  const serial = unproven?.proof
  const isProven = serial === undefined || isSame(typed, serial)
  return (
    <Dialog
      title={`Erase this card, and make it ${name}?`}
      yes={`Erase, and make it ${name}`}
      isReady={(done === null || again) && isProven}
      onYes={() => order('flash', { slot, medium: card.medium, node: name, again, serial })}
      onClose={onClose}
    >
      <p>
        <strong>{slot}</strong>: {describeCard(card)}
      </p>
      <p>
        {describeContents(card)} <strong>Everything on it is erased.</strong>
      </p>
      {card.mounts.length === 0 ? null : (
        <p>It is mounted at {card.mounts.join(', ')}, and is unmounted first.</p>
      )}
      <p>
        {name}: {board}, {address ?? 'address from DHCP'}.
      </p>
      {unproven === null ? null : (
        <label>
          {unproven.message}. If it is the right one, type <code>{unproven.proof}</code>:{' '}
          <input
            type="text"
            autocomplete="off"
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </label>
      )}
      {done === null ? null : (
        <label>
          <input type="checkbox" checked={again} onChange={() => setAgain(!again)} /> {name} has a card
          already. This one replaces it: two in use would be the same computer twice.
        </label>
      )}
    </Dialog>
  )
}
