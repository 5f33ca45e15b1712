/** A question over the page: the browser keeps the keyboard in it, and Escape says no. */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Refused } from './state.ts'

interface DialogProps {
  title: string
  /** What the button says that says yes. */
  yes: string
  /** Whether it may be pressed. */
  isReady?: boolean
  onYes: () => Promise<void>
  onClose: () => void
  children: ComponentChildren
}

export function Dialog({ title, yes, isReady = true, onYes, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [refused, setRefused] = useState<Refused | null>(null)
  const [isBusy, setIsBusy] = useState(false)
  useEffect(() => dialog.current?.showModal(), [])
  const onSubmit = async (event: Event) => {
    event.preventDefault()
    setIsBusy(true)
    try {
      await onYes()
      onClose()
    } catch (error) {
      setRefused(error instanceof Refused ? error : new Refused('the station does not answer', String(error)))
      setIsBusy(false)
    }
  }
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="question">
      <form onSubmit={onSubmit}>
        <h2 id="question">{title}</h2>
        {children}
        {refused === null ? null : <Failure message={refused.message} hint={refused.hint} />}
        <p class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="main" disabled={isBusy || !isReady}>
            {yes}
          </button>
        </p>
      </form>
    </dialog>
  )
}

/** A sentence and what to do, as the command line has them. */
export function Failure({ message, hint }: { message: string; hint?: string | null | undefined }) {
  return (
    <div class="failure" role="alert">
      <p>
        <strong>✗ {message}</strong>
      </p>
      {hint ? <p>{hint}</p> : null}
    </div>
  )
}
