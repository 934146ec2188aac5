// one that is closed at the test's end, with what its bridge told by `fault`.
import { createTestBridge, type TestBridge, type TestBridgeOptions } from 'ws-session-bridge/testing'
import { atEnd } from '../support/at-end.js'

/** Answers every message with the user's name. */
export function whoAmI(...[ws, , context]: Parameters<NonNullable<TestBridgeOptions['onConnection']>>): void {
  ws.on('message', () => {
    ws.send(`You are ${context.session.user}`)
  })
}

export async function startTestBridge(options: TestBridgeOptions = {}): Promise<TestBridge & { faults: Error[] }> {
  const kit = await createTestBridge({ onConnection: whoAmI, ...options })
  atEnd(kit.close)
  const faults: Error[] = []
  kit.bridge.on('fault', (error) => faults.push(error))
  return { ...kit, faults }
}
