/*
 * Processes that are asked for things: a server, or many clients.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'

/** What a process can be asked, by name. */
export type CallsOf<C> = Record<keyof C, (argument: never) => unknown>

interface Question {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}

interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

export interface Process<C extends CallsOf<C>> {
  call<N extends keyof C & string>(name: N, argument: Parameters<C[N]>[0]): Promise<Awaited<ReturnType<C[N]>>>
  /** Ends it, and with it whatever it holds open. */
  end(): Promise<void>
}

/** Starts a script of this folder, with what it is to know from the start. */
export async function start<C extends CallsOf<C>>(script: string, argument: object): Promise<Process<C>> {
  const child = fork(new URL(script, import.meta.url), [JSON.stringify(argument)], { execArgv: ['--expose-gc'] })
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  const gone = once(child, 'exit')
  void gone.then(() => {
    for (const { reject } of waiting.values()) reject(new Error(`${script} has ended.`))
  })
  child.on('message', ({ id, value, error }: Answer) => {
    const asked = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) asked?.resolve(value)
    else asked?.reject(new Error(`${script}: ${error}`))
  })
  let last = 0
  const call = (name: string, argument: unknown): Promise<unknown> =>
    new Promise((resolve, reject) => {
      last += 1
      waiting.set(last, { resolve, reject })
      child.send({ id: last, name, argument } satisfies Question)
    })
  await call('ready', undefined)
  return {
    call: call as Process<C>['call'],
    async end() {
      child.kill('SIGKILL')
      await gone
    },
  }
}

/** What the process was started with. */
export function startedWith(): unknown {
  return JSON.parse(process.argv[2] ?? '{}')
}

/** Within such a process: answers what it is asked, until the one that started it is gone. */
export function answer<C extends CallsOf<C>>(calls: C): void {
  const all: Partial<Record<string, (argument: never) => unknown>> = { ...calls, ready: () => undefined }
  process.on('disconnect', () => process.exit())
  process.on('message', ({ id, name, argument }: Question) => {
    const reply = async (): Promise<Answer> => {
      try {
        return { id, value: await all[name]?.(argument as never) }
      } catch (error) {
        return { id, error: String(error) }
      }
    }
    void reply().then((message) => process.send?.(message))
  })
}
