// the code of docs/troubleshooting.md.
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { startTestBridge } from '../testing/test-bridge.js'
import { countViews } from './count-views.js'
import { logRefusals } from './log-refusals.js'
import './session-fields.js'

it('logs a refusal with its reason and what the Origin was compared with, but no cookie', async () => {
  const { bridge, cookie, upgrade } = await startTestBridge()
  const lines: string[] = []
  logRefusals(bridge, (line) => lines.push(line))
  await upgrade(cookie({ user: 'Ada' }), { url: 'http://localhost/chat', origin: 'http://localhost:5173' })
  expect(lines).toEqual(['403 origin-denied, Origin http://localhost:5173, Host localhost'])
})

it('saves the session that a message changes', async () => {
  const { bridge, cookie, upgrade } = await startTestBridge({ onConnection: countViews })
  const { ws, context } = await upgrade(cookie({ user: 'Ada', cartID: 'a cart' }))
  const changed = once(context, 'change')
  ws.send('hello')
  await changed
  expect(await bridge.load(context.sessionID)).toMatchObject({ user: 'Ada', views: 1, cartID: 'a cart' })
})
