/*
 * Processes that are asked for things: a server, or many clients.
 */
import { fork, type ChildProcess } from 'node:child_process'
import cluster from 'node:cluster'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const execArgv = ['--expose-gc']

/** What a process can be asked, by name. */
export type CallsOf<C> = Record<keyof C, (argument: never) => unknown>

interface Question {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}

interface Answer {
  /** The question's ID. Not `id`: messages of clusterChannel pass here, too, and have one. */
  readonly answerTo: number
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
  return await connected(script, fork(new URL(script, import.meta.url), [JSON.stringify(argument)], { execArgv }))
}

/** The same as a worker of node:cluster, whose primary is this process. */
export async function startWorker<C extends CallsOf<C>>(script: string, argument: object): Promise<Process<C>> {
  cluster.setupPrimary({
    exec: fileURLToPath(new URL(script, import.meta.url)),
    args: [JSON.stringify(argument)],
    execArgv,
  })
  return await connected(script, cluster.fork().process)
}

async function connected<C extends CallsOf<C>>(script: string, child: ChildProcess): Promise<Process<C>> {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  const gone = once(child, 'exit')
  // A worker of node:cluster loses what it is asked before it listens.
  const ready = new Promise<void>((resolve, reject) => {
    waiting.set(0, { resolve, reject })
  })
  void gone.then(() => {
    for (const { reject } of waiting.values()) reject(new Error(`${script} has ended.`))
  })
  child.on('message', ({ answerTo, value, error }: Answer) => {
    const asked = waiting.get(answerTo)
    waiting.delete(answerTo)
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
  await ready
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
  const all: Partial<Record<string, (argument: never) => unknown>> = calls
  process.on('disconnect', () => process.exit())
  process.on('message', ({ id, name, argument }: Partial<Question>) => {
    // The channel between the workers of node:cluster has messages of its own.
    if (id === undefined || name === undefined) return
    const reply = async (): Promise<Answer> => {
      try {
        return { answerTo: id, value: await all[name]?.(argument as never) }
      } catch (error) {
        return { answerTo: id, error: String(error) }
      }
    }
    void reply().then((message) => process.send?.(message))
  })
  process.send?.({ answerTo: 0 } satisfies Answer)
}
