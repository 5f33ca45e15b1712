/** The page: what the station says, drawn anew whenever it says something else. */
import { render } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { CardsView } from './cards.tsx'
import { ClusterView } from './cluster.tsx'
import { LabelsView } from './labels.tsx'
import { StartView } from './start.tsx'
import { connect, getState, type State, subscribe } from './state.ts'

const VIEWS = { cards: 'Cards', cluster: 'Cluster', labels: 'Labels' } as const
type View = keyof typeof VIEWS

const viewOf = (hash: string): View => {
  const name = hash.slice(1)
  return Object.hasOwn(VIEWS, name) ? (name as View) : 'cards'
}

function Page() {
  const [state, setState] = useState(getState())
  const [view, setView] = useState(viewOf(location.hash))
  // Before anything else runs: what came before an effect after the next frame would never be shown.
  useLayoutEffect(() => subscribe(() => setState(getState())), [])
  useLayoutEffect(() => {
    const onHash = () => setView(viewOf(location.hash))
    addEventListener('hashchange', onHash)
    return () => removeEventListener('hashchange', onHash)
  }, [])
  const { table, isConnected } = state
  const heading = useRef<HTMLHeadingElement>(null)
  const name = table?.cluster.name
  const isNew = table?.cluster.canInit === true
  const wasNew = useRef(isNew)
  useLayoutEffect(() => {
    // The form is gone, and the keyboard was in it.
    if (wasNew.current && !isNew) heading.current?.focus()
    wasNew.current = isNew
  }, [isNew])
  return (
    <>
      <header>
        <p class="brand">piimage station</p>
        {isNew ? null : (
          <nav aria-label="Views">
            {(Object.keys(VIEWS) as View[]).map((one) => (
              <a key={one} href={`#${one}`} aria-current={one === view ? 'page' : undefined}>
                {VIEWS[one]}
              </a>
            ))}
          </nav>
        )}
      </header>
      <main>
        <h1 ref={heading} tabIndex={-1}>
          {isNew ? 'Start a cluster' : VIEWS[view]}
          {name ? ` of ${name}` : ''}
        </h1>
        {isConnected ? null : (
          <p role="alert" class="notice bad">
            {table === null
              ? 'Waiting for the station …'
              : 'The station does not answer: what stands here is old. Is it still running?'}
          </p>
        )}
        {table === null || table.isRoot ? null : <NotRoot />}
        {table === null || isNew ? null : <Mistakes state={state} />}
        {table === null ? null : isNew ? (
          <StartView />
        ) : view === 'cards' ? (
          <CardsView table={table} rates={state.rates} />
        ) : view === 'cluster' ? (
          <ClusterView table={table} />
        ) : (
          <LabelsView table={table} />
        )}
        <Log state={state} />
      </main>
    </>
  )
}

function NotRoot() {
  return (
    <p class="notice">
      <strong>This station can look, but probably not write:</strong> it does not run as root. Stop it on its
      terminal (Ctrl-C), and start it with <code>sudo piimage station</code>.
    </p>
  )
}

/** Of the cluster file, as it was saved last. */
function Mistakes({ state: { table } }: { state: State }) {
  const { file, mistakes, problem } = table?.cluster ?? { file: '', mistakes: [], problem: null }
  if (mistakes.length === 0 && problem === null) return null
  return (
    <section class="notice bad" aria-label="What is wrong with the cluster file">
      <h2>{problem === null ? `${file} has mistakes; no card is begun` : problem.message}</h2>
      {problem?.hint === undefined ? null : <p>{problem.hint}</p>}
      <ul>
        {mistakes.map((one) => (
          <li key={`${one.file}:${one.line}:${one.column}:${one.message}`}>
            <code>
              {one.file}:{one.line}:{one.column}
            </code>{' '}
            {one.message}
            {one.hint === null ? '' : ` (${one.hint})`}
          </li>
        ))}
      </ul>
    </section>
  )
}

function Log({ state: { log } }: { state: State }) {
  const [newest] = log
  return (
    <>
      <p class="unseen" role={newest?.isBad ? 'alert' : 'status'}>
        {newest?.text ?? ''}
      </p>
      {log.length === 0 ? null : (
        <details class="log">
          <summary>What happened since this page was opened</summary>
          <ol>
            {log.map((line) => (
              <li key={`${line.at.getTime()} ${line.text}`}>
                <time>{line.at.toLocaleTimeString()}</time> {line.isBad ? '✗ ' : ''}
                {line.text}
              </li>
            ))}
          </ol>
        </details>
      )}
    </>
  )
}

connect()
document.body.textContent = ''
render(<Page />, document.body)
