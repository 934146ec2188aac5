// the time in the session, if there is one left.
import { once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { startTestBridge } from '../testing/test-bridge.js'
import { noteLastSeen } from './last-seen.js'

async function startSeeing() {
  const errors = vi.spyOn(console, 'error').mockReturnValue()
  const kit = await startTestBridge({ onConnection: noteLastSeen })
  const ada = kit.cookie({ user: 'Ada' })
  return { ...kit, errors, ada, adaID: kit.bridge.readSessionID(ada)! }
}

describe('last seen', () => {
  it('is written when the client closes', async () => {
    const { upgrade, ada, adaID, bridge, clock } = await startSeeing()
    const { ws, context } = await upgrade(ada)
    const ended = once(context, 'end')
    ws.close()
    await ended
    await clock.advance(0)
    expect((await bridge.load(adaID))?.lastSeenAt).toBeGreaterThan(Date.now() - 60_000)
  })

  it('is written when the server shuts down, before its bridge has closed', async () => {
    const { upgrade, ada, adaID, close, store } = await startSeeing()
    await upgrade(ada)
    await close()
    const record = await new Promise((resolve) => {
      store.get(adaID, (_error, session) => resolve(session))
    })
    expect(record).toMatchObject({ user: 'Ada', lastSeenAt: expect.any(Number) as number })
  })

  it('brings no session back that has logged out', async () => {
    const { upgrade, ada, adaID, end, bridge, errors, clock } = await startSeeing()
    await upgrade(ada)
    await end(ada)
    await clock.advance(0)
    expect(await bridge.load(adaID)).toBeUndefined()
    expect(errors).not.toHaveBeenCalled()
  })

  it('says so where the store is away', async () => {
    const { upgrade, ada, store, errors, clock } = await startSeeing()
    const { ws, context } = await upgrade(ada)
    store.emit('disconnect')
    const ended = once(context, 'end')
    ws.close()
    await ended
    await clock.advance(0)
    expect(errors).toHaveBeenCalledWith('Last seen was not saved:', 'The session store is disconnected.')
  })
})
