import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { StoreUnavailableError } from 'ws-session-bridge'
import { settleOnce, type StoreCallback } from '../../src/store/settle-once.js'

describe('a store call as a promise', () => {
  it('rejects when its answer cannot be used, and throws nothing into the store', async () => {
    const broken = new Error('broken')
    let callback!: StoreCallback<number>
    const settled = settleOnce<number, never>(
      (given) => {
        callback = given
      },
      () => {
        throw broken
      },
    )
    expect(() => {
      callback(null, 1)
    }).not.toThrow()
    await expect(settled).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', cause: broken })
  })

  it('has the very error of the store as its cause, also one of another realm', async () => {
    const foreign: unknown = runInNewContext('new Error("down")')
    const settled = settleOnce((callback) => {
      callback(foreign)
    }, Boolean)
    const error: unknown = await settled.catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect((error as Error).cause).toBe(foreign)
  })
})
