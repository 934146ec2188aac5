import { EventEmitter, errorMonitor, getEventListeners, once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import type { SessionContext } from 'ws-session-bridge'
import { record, startBridge } from './bound.js'

/* A context that has had no listener yet. */
async function bound(): Promise<SessionContext> {
  const { store, bind } = startBridge()
  store.set('id', record())
  return (await bind('id')).context
}

/* What can be asked or done of an emitter before its first listener, and what an emitter of Node's answers. */
const questions: readonly [string, (emitter: EventEmitter) => unknown][] = [
  ['listenerCount', (emitter) => emitter.listenerCount('end')],
  ['eventNames', (emitter) => emitter.eventNames()],
  ['listeners', (emitter) => emitter.listeners('end')],
  ['rawListeners', (emitter) => emitter.rawListeners('end')],
  ['getEventListeners', (emitter) => getEventListeners(emitter, 'end')],
  ['getMaxListeners', (emitter) => emitter.getMaxListeners()],
  ['emit', (emitter) => emitter.emit('end')],
  ['off', (emitter) => emitter.off('end', vi.fn()) === emitter],
  ['removeAllListeners', (emitter) => emitter.removeAllListeners() === emitter],
  ['removeAllListeners of one event', (emitter) => emitter.removeAllListeners('end') === emitter],
  ['setMaxListeners', (emitter) => emitter.setMaxListeners(3).getMaxListeners()],
  ['once', (emitter) => emitter.once('end', vi.fn()).listenerCount('end')],
  ['prependListener', (emitter) => emitter.prependListener('end', vi.fn()).eventNames()],
  ['newListener', (emitter) => hears(emitter, 'newListener', () => emitter.on('end', vi.fn()))],
  ['the error monitor', (emitter) => hears(emitter, errorMonitor, () => emitter.on('error', vi.fn()).emit('error'))],
]

function hears(emitter: EventEmitter, event: string | symbol, act: () => unknown): number {
  const listener = vi.fn()
  emitter.on(event, listener)
  act()
  return listener.mock.calls.length
}

describe('a context without listeners', () => {
  it.each(questions)('answers %s as every EventEmitter does', async (_name, ask) => {
    expect(ask(await bound())).toEqual(ask(new EventEmitter()))
  })

  it('is an EventEmitter', async () => {
    expect(await bound()).toBeInstanceOf(EventEmitter)
  })

  it('throws an error that is emitted, as every EventEmitter does', async () => {
    const context: EventEmitter = await bound()
    expect(() => context.emit('error', new Error('nobody listens'))).toThrow('nobody listens')
  })

  it('can be waited for', async () => {
    const context = await bound()
    const end = once(context, 'end')
    await context.destroy()
    expect(await end).toEqual([{ reason: 'destroyed', code: 4401 }])
  })

  it('shares its listeners with no other', async () => {
    const [one, other] = [await bound(), await bound()]
    one.on('end', vi.fn())
    expect(other.listenerCount('end')).toBe(0)
  })
})
