/**
 * A bridge for the tests of your own code, under any test runner.
 *
 * @module ws-session-bridge/testing
 */
export { createTestBridge } from './testing/create-test-bridge.js'
export type { TestBridge } from './testing/create-test-bridge.js'
export type { TestBridgeOptions } from './testing/options.js'
export type { TestClock } from './testing/turnable-clock.js'
export type { TestSessionData } from './testing/test-session.js'
export type { TestStore } from './testing/test-store.js'
export type { TestUpgrade, TestUpgradeOptions } from './testing/upgrade.js'
