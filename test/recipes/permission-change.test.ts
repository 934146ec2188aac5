// the sockets that needed it.
import { describe, expect, it } from 'vitest'
import { startTestBridge } from '../testing/test-bridge.js'
import { isStaff, setRole } from './permission-change.js'

describe('a permission that changes', () => {
  it('closes the sockets of those who have lost it, and lets the others stay', async () => {
    const { cookie, upgrade, bridge } = await startTestBridge({ authorize: isStaff })
    const [ada, grace] = [cookie({ user: 'Ada', role: 'staff' }), cookie({ user: 'Grace', role: 'staff' })]
    const [first, second] = [await upgrade(ada), await upgrade(grace)]
    await setRole(bridge, [first.context.sessionID, 'unknown'], 'guest')
    expect(await first.closed).toEqual({ code: 4403, reason: 'forbidden' })
    expect(second.context.ended).toBeUndefined()
    expect((await upgrade(ada)).refusal?.reason).toBe('forbidden')

    // The session is still there: given back, the role lets it in again.
    await setRole(bridge, [first.context.sessionID], 'staff')
    expect((await upgrade(ada)).refusal).toBeUndefined()
  })
})
