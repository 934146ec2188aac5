import { EventEmitter } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { duplicateOf, type RedisClient } from '../../src/redis/dedicated-client.js'
import { CallTimeouts } from '../../src/internal/call-timeouts.js'

/** As redis before 6.3 does it: destroy() throws for a client that is closed already. */
class OldClient extends EventEmitter {
  readonly options = {}
  isOpen = true
  failure: Error | undefined

  duplicate(): this {
    return this
  }

  destroy(): void {
    if (this.failure !== undefined) throw this.failure
    if (!this.isOpen) throw new Error('The client is closed')
    this.isOpen = false
  }
}

function duplicated() {
  const old = new OldClient()
  const onLost = vi.fn()
  const client = old as unknown as RedisClient
  const own = duplicateOf({ client, deadlines: new CallTimeouts(1000), timeoutMs: 1000 }, {}, onLost)
  return { old, own, onLost }
}

describe('a connection of the bridge’s own', () => {
  it('can be destroyed when it is closed already, with any redis 6', () => {
    const { own } = duplicated()
    own.destroy()
    expect(own.isOpen).toBe(false)
    expect(() => {
      own.destroy()
    }).not.toThrow()
  })

  it('is told to be lost by an error, though it closed before', () => {
    const { old, own, onLost } = duplicated()
    own.destroy()
    old.emit('error', new Error('ECONNRESET'))
    expect(onLost).toHaveBeenCalledOnce()
  })

  it('says why it could not be destroyed while it is open', () => {
    const { old, own } = duplicated()
    old.failure = new Error('broken')
    expect(() => {
      own.destroy()
    }).toThrow('broken')
  })
})
