// the worlds whose events are tried in every order. Each has few kinds of events, so that eight of them go far.
import type { SmallWorldRules } from './small-world.js'

export interface NamedWorld {
  readonly rules: SmallWorldRules
  /** How many events come in every order in `npm test`. In a soak it is eight. */
  readonly depth: number
}

const plain = { authorize: 'none', touchWritesBack: false, wholeSeconds: false, sockets: 2 } as const

/** Eight events, in every order. */
export const soakDepth = 8

export const smallWorlds = {
  'a handshake whose session is touched and logged out while `authorize` is asked': {
    rules: {
      ...plain,
      sockets: 0,
      authorize: 'no',
      atOnce: ['get', 'touch', 'destroy'],
      acts: ['handshake', 'touch', 'touch', 'destroy'],
    },
    depth: 7,
  },
  'a handshake whose session changes and is demoted while `authorize` is asked': {
    rules: {
      ...plain,
      sockets: 0,
      authorize: 'no',
      atOnce: ['get', 'set'],
      acts: ['handshake', 'change', 'change', 'demote'],
    },
    depth: 7,
  },
  'a logout, touches and a handshake, with a slow `authorize`': {
    rules: { ...plain, authorize: 'no', acts: ['handshake', 'destroy', 'touch', 'touch'] },
    depth: 5,
  },
  'a change and a demotion, with an `authorize` that fails for the demoted': {
    rules: { ...plain, sockets: 1, authorize: 'throws', acts: ['change', 'demote'] },
    depth: 6,
  },
  'a change, a demotion and a handshake that are read at once, with an `authorize` that fails for the demoted': {
    rules: { ...plain, authorize: 'throws', atOnce: ['get', 'set'], acts: ['change', 'demote', 'handshake'] },
    depth: 5,
  },
  'a message and a logout, on a store whose `touch` writes back': {
    rules: { ...plain, sockets: 1, touchWritesBack: true, atOnce: ['get'], acts: ['message', 'destroy'] },
    depth: 8,
  },
  'a message, a logout and a handshake, on a store whose `touch` writes back': {
    rules: { ...plain, touchWritesBack: true, acts: ['message', 'destroy', 'handshake'] },
    depth: 5,
  },
  'a message, an update and a logout, on a store whose `touch` writes back': {
    rules: { ...plain, touchWritesBack: true, atOnce: ['get'], acts: ['message', 'update', 'destroy'] },
    depth: 6,
  },
  'a demotion, an update, a logout and a handshake': {
    rules: { ...plain, authorize: 'no', acts: ['demote', 'update', 'destroy', 'handshake'] },
    depth: 5,
  },
  'a handshake whose session is touched and expires while it is read': {
    rules: { ...plain, sockets: 0, first: 'handshake', acts: ['touch', 'touch', 'expire'] },
    depth: 8,
  },
  'touches and an expiry, on a store of whole seconds': {
    rules: { ...plain, wholeSeconds: true, sockets: 1, acts: ['touch', 'touch', 'expire', 'handshake', 'wait'] },
    depth: 5,
  },
} satisfies Record<string, NamedWorld>

export type WorldName = keyof typeof smallWorlds
