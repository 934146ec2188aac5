import { describeStore } from './store-contract.js'

describeStore('session-file-store')
// It compares whole seconds, rounded down; its timer that removes old sessions cannot be stopped.
describeStore('better-sqlite3-session-store', { earlyMs: 1_000, exits: false })
describeStore('memorystore', { isShared: false })
