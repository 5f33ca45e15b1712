/** A cluster that is not there yet: what `piimage init` asks, on one page. */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { formatBytes } from '../src/units.ts'
import type { InitForm, InitQuestions } from '../src/work/init-form.ts'
import type { InitField } from '../src/work/init-questions.ts'
import { Failure } from './dialog.tsx'
import { ask, asRefused, order, type Refused } from './state.ts'

/** In a select: what is typed instead. */
const OTHER = 'other'

export function StartView() {
  const [questions, setQuestions] = useState<InitQuestions | null>(null)
  const [refused, setRefused] = useState<Refused | null>(null)
  useEffect(() => {
    ask<InitQuestions>('questions').then(setQuestions, (error) => setRefused(asRefused(error)))
  }, [])
  if (refused !== null) return <Failure message={refused.message} hint={refused.hint} />
  return questions === null ? <p>Looking around …</p> : <Questions questions={questions} />
}

/** What the person chose; `other` texts count where OTHER is chosen. */
interface Choices extends InitForm {
  otherModels: string
  otherImage: string
  otherKey: string
}

/** Only what was asked. */
function answersOf(choices: Choices, isWifi: boolean): InitForm {
  const { otherModels, otherImage, otherKey, ...form } = choices
  return {
    ...form,
    models: form.models === OTHER ? otherModels : form.models,
    image: form.image === OTHER ? otherImage : form.image,
    login: form.login === OTHER ? otherKey : form.login,
    ...(form.login === 'password' ? {} : { password: '', again: '' }),
    ...(isWifi ? { wifi: 'yes' } : { wifi: '', ssid: '', country: '', passphrase: '' }),
  }
}

function Questions({ questions }: { questions: InitQuestions }) {
  const { templates, boards, folder, files, images, hasPassphrase } = questions
  const form = useRef<HTMLFormElement>(null)
  const [isBusy, setIsBusy] = useState(false)
  const [refused, setRefused] = useState<Refused | null>(null)
  const [choices, setChoices] = useState<Choices>({
    template: templates[0]?.name ?? '',
    nodes: questions.nodes,
    models: questions.model,
    image: 'newest',
    login: questions.key ?? 'new',
    password: '',
    again: '',
    ssid: '',
    country: questions.country,
    passphrase: '',
    wifi: '',
    otherModels: '',
    otherImage: '',
    otherKey: '',
  })
  const set = (part: Partial<Choices>) => setChoices((before) => ({ ...before, ...part }))
  const template = templates.find(({ name }) => name === choices.template)
  const isPlain = template?.nodes === true
  const isDemo = choices.template === 'demo'
  const words = (choices.models === OTHER ? choices.otherModels : choices.models).split(/[\s,]+/)
  const chosen = boards.filter(({ model }) => words.includes(model))
  const needsWifi = isPlain ? chosen.some(({ ethernet }) => !ethernet) : Boolean(template?.wifi)
  const canWifi = isPlain && chosen.some(({ wifi }) => wifi)
  const isWifi = needsWifi || (canWifi && choices.wifi === 'yes')
  const newest = images[chosen.every(({ arm64 }) => arm64) ? 'arm64' : 'armhf']
  const problems = refused?.fields ?? {}
  const isElsewhere = refused !== null && Object.keys(problems).length === 0

  useEffect(() => {
    // The first answer that won't do.
    form.current?.querySelector<HTMLElement>('[aria-invalid]')?.focus()
  }, [refused])

  const onSubmit = async (event: Event) => {
    event.preventDefault()
    setIsBusy(true)
    setRefused(null)
    try {
      await order('init', answersOf(choices, isWifi))
      // The table says so to every browser; the cards come next.
      location.hash = 'cards'
    } catch (error) {
      setRefused(asRefused(error))
      setIsBusy(false)
    }
  }

  const input = (field: InitField, value: string, part: keyof Choices) => ({
    id: part,
    value,
    autocomplete: 'off',
    spellcheck: false,
    ...invalid(problems[field] !== undefined, field),
    onInput: (event: { currentTarget: { value: string } }) => set({ [part]: event.currentTarget.value }),
  })
  const select = (field: InitField, value: string) => ({
    id: field,
    value,
    ...invalid(problems[field] !== undefined && value !== OTHER, field),
    onChange: (event: { currentTarget: { value: string } }) => set({ [field]: event.currentTarget.value }),
  })
  const radio = (field: 'template' | 'login', value: string) => ({
    name: field,
    value,
    checked: choices[field] === value,
    onChange: () => set({ [field]: value }),
  })

  return (
    <form ref={form} class="start" onSubmit={onSubmit} noValidate>
      <p>
        There is no cluster file in <code>{folder}</code> yet. Answer what differs from what stands here; it
        can all be changed later, in <code>cluster.yaml</code>.
      </p>
      <fieldset>
        <legend>What do you have?</legend>
        {templates.map(({ name, purpose }) => (
          <label key={name} class="pick">
            <input type="radio" {...radio('template', name)} /> {purpose} <span class="small">({name})</span>
          </label>
        ))}
        <Problem field="template" problems={problems} />
        {template === undefined || template.before.length === 0 ? null : (
          <div class="notice">
            Before its cards can be made, run once on a terminal, in that folder:
            {template.before.map((line) => (
              <code key={line} class="line">
                {line}
              </code>
            ))}
          </div>
        )}
      </fieldset>
      {isPlain ? (
        <fieldset>
          <legend>Which boards?</legend>
          <Field id="nodes" label="How many, or their names" field="nodes" problems={problems}>
            <input type="text" {...input('nodes', choices.nodes, 'nodes')} />
          </Field>
          <Field id="models" label="Which board" field="models" problems={problems}>
            <select {...select('models', choices.models)}>
              {boards.map(({ model, title }) => (
                <option key={model} value={model}>
                  {title}
                </option>
              ))}
              <option value={OTHER}>Not all the same …</option>
            </select>
          </Field>
          {choices.models === OTHER ? (
            <Field id="otherModels" label="One for each, in their order" field="models" problems={{}}>
              <input
                type="text"
                {...input('models', choices.otherModels, 'otherModels')}
                placeholder="pi5 pi4 zero2w"
              />
            </Field>
          ) : null}
          <Field id="image" label="System" field="image" problems={problems}>
            <select {...select('image', choices.image)}>
              <option value="newest">
                {newest === null ? 'The newest that fits' : describeImage(newest)}
              </option>
              {files.map((file) => (
                <option key={file} value={file}>
                  The file {file}
                </option>
              ))}
              <option value={OTHER}>A file that was downloaded already …</option>
            </select>
          </Field>
          {choices.image === OTHER ? (
            <Field
              id="otherImage"
              label="Its path on the computer that the station runs on"
              field="image"
              problems={{}}
            >
              <input
                type="text"
                {...input('image', choices.otherImage, 'otherImage')}
                placeholder="~/raspios.img.xz"
              />
            </Field>
          ) : null}
        </fieldset>
      ) : null}
      {isDemo ? null : (
        <fieldset>
          <legend>Who may log in?</legend>
          {questions.key === null ? null : (
            <label class="pick">
              <input type="radio" {...radio('login', questions.key)} /> Your own key,{' '}
              <code>{questions.key}</code>
            </label>
          )}
          <label class="pick">
            <input type="radio" {...radio('login', 'new')} /> A new key, made for this cluster:{' '}
            <code>ssh -i id_ed25519 …</code>
          </label>
          <label class="pick">
            <input type="radio" {...radio('login', OTHER)} /> Another public key …
          </label>
          {choices.login === OTHER ? (
            <Field id="otherKey" label="The key itself, or its file" field="login" problems={{}}>
              <input
                type="text"
                {...input('login', choices.otherKey, 'otherKey')}
                placeholder="~/.ssh/work.pub"
              />
            </Field>
          ) : null}
          <label class="pick">
            <input type="radio" {...radio('login', 'password')} /> Whoever knows a password …
          </label>
          {choices.login === 'password' ? (
            <>
              <Field id="password" label="Password for the nodes" field="password" problems={problems}>
                <input
                  type="password"
                  {...input('password', choices.password, 'password')}
                  autocomplete="new-password"
                />
              </Field>
              <Field id="again" label="Once more" field="again" problems={problems}>
                <input
                  type="password"
                  {...input('again', choices.again, 'again')}
                  autocomplete="new-password"
                />
              </Field>
            </>
          ) : null}
          <Problem field="login" problems={problems} />
        </fieldset>
      )}
      {canWifi || isWifi ? (
        <fieldset>
          <legend>Wi-Fi</legend>
          {needsWifi ? (
            <p>{isPlain ? 'A board here has no Ethernet.' : 'Boards here use it.'}</p>
          ) : (
            <label class="pick">
              <input
                type="checkbox"
                checked={choices.wifi === 'yes'}
                onChange={() => set({ wifi: choices.wifi === 'yes' ? '' : 'yes' })}
              />{' '}
              They use Wi-Fi, too
            </label>
          )}
          {isWifi ? (
            <>
              <Field id="ssid" label="The network's name" field="ssid" problems={problems}>
                <input type="text" {...input('ssid', choices.ssid, 'ssid')} />
              </Field>
              {hasPassphrase ? null : (
                <Field id="passphrase" label="Its pass phrase" field="passphrase" problems={problems}>
                  <input
                    type="password"
                    {...input('passphrase', choices.passphrase, 'passphrase')}
                    autocomplete="new-password"
                  />
                </Field>
              )}
              <Field
                id="country"
                label="Country whose radio rules apply, two letters"
                field="country"
                problems={problems}
              >
                <input type="text" {...input('country', choices.country, 'country')} />
              </Field>
            </>
          ) : null}
        </fieldset>
      ) : null}
      {isElsewhere ? <Failure message={refused.message} hint={refused.hint} /> : null}
      <p class="unseen" role="alert">
        {isElsewhere || refused === null ? '' : `Not yet: ${refused.message}`}
      </p>
      <p class="buttons">
        <button type="submit" class="main" disabled={isBusy}>
          {isBusy ? 'Making it …' : 'Make the cluster'}
        </button>
      </p>
    </form>
  )
}

const describeImage = ({ key, download, isHere }: NonNullable<InitQuestions['images']['arm64']>): string =>
  isHere
    ? `${key}, which is here already`
    : `${key}, the newest: downloaded with the first card${download === null ? '' : `, ${formatBytes(download)}`}`

const invalid = (is: boolean, field: string) =>
  is ? { 'aria-invalid': true, 'aria-describedby': `${field}-problem` } : {}

interface ProblemProps {
  field: InitField
  problems: Refused['fields']
}

function Field({
  id,
  label,
  children,
  ...problem
}: ProblemProps & { id: string; label: string; children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      <Problem {...problem} />
    </div>
  )
}

function Problem({ field, problems }: ProblemProps) {
  const problem = problems[field]
  if (problem === undefined) return null
  return (
    <p class="failure" id={`${field}-problem`}>
      <strong>✗ {problem.message}</strong>
      {problem.hint === undefined ? null : <> {problem.hint}</>}
    </p>
  )
}
