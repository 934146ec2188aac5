/*
 * The door `ws-session-bridge/testing`: a bridge for other people's tests, under any test runner.
 */
export { createTestBridge } from './testing/create-test-bridge.js'
export type { TestBridge } from './testing/create-test-bridge.js'
export type { TestBridgeOptions } from './testing/options.js'
export type { TestClock } from './testing/turnable-clock.js'
export type { TestSessionData } from './testing/test-session.js'
export type { TestStore } from './testing/test-store.js'
export type { TestUpgrade, TestUpgradeOptions } from './testing/upgrade.js'
