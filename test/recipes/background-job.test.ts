// the others are changed, and their sockets hear of it.
import { describe, expect, it } from 'vitest'
import { startTestBridge } from '../testing/test-bridge.js'
import { resetViews } from './background-job.js'

describe('a background job', () => {
  it('changes the sessions that are there, of which their sockets hear', async () => {
    const { cookie, upgrade, bridge } = await startTestBridge()
    const [ada, grace] = [cookie({ user: 'Ada', views: 3 }), cookie({ user: 'Grace' })]
    const { context } = await upgrade(ada)
    const ids = [ada, grace].map((signed) => bridge.readSessionID(signed)!)
    expect(await resetViews(bridge, [...ids, 'unknown'])).toBe(1)
    expect(context.session).toMatchObject({ user: 'Ada' })
    expect(context.session.views).toBeUndefined()
  })

  it('goes on where a session logs out between the read and the write, and brings none back', async () => {
    const { cookie, bridge, store } = await startTestBridge()
    const ids = [cookie({ views: 1 }), cookie({ views: 2 })].map((signed) => bridge.readSessionID(signed)!)
    const load = bridge.load.bind(bridge)
    bridge.load = async (sessionID) => {
      const session = await load(sessionID)
      if (sessionID === ids[0]) store.destroy(sessionID)
      return session
    }
    expect(await resetViews(bridge, ids)).toBe(1)
    expect(await load(ids[0]!)).toBeUndefined()
  })
})
