import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createPrivateSlot } from '../../src/internal/private-slot.js'

describe('attachment', () => {
  it('is the value that was put on an object last', () => {
    const attachment = createPrivateSlot<object, string>()
    const object = {}
    expect(attachment.get(object)).toBeUndefined()
    attachment.set(object, 'first')
    attachment.set(object, 'second')
    expect(attachment.get(object)).toBe('second')
  })

  it('is of one object, not of what inherits from it or stands in for it', () => {
    const attachment = createPrivateSlot<object, string>()
    const object = {}
    attachment.set(object, 'its own')
    expect(attachment.get(Object.create(object) as object)).toBeUndefined()
    expect(attachment.get(new Proxy(object, {}))).toBeUndefined()
  })

  it('is told apart from another one on the same object', () => {
    const [one, other] = [createPrivateSlot<object, string>(), createPrivateSlot<object, string>()]
    const object = {}
    one.set(object, 'one')
    expect(other.get(object)).toBeUndefined()
    other.set(object, 'other')
    expect(one.get(object)).toBe('one')
  })

  it('is seen by no other code', () => {
    const attachment = createPrivateSlot<object, string>()
    const object = { own: true }
    attachment.set(object, 'a credential')
    expect(Reflect.ownKeys(object)).toEqual(['own'])
    expect(inspect(object, { showHidden: true })).not.toContain('a credential')
  })

  it.each([undefined, null, 'text', 5])('is asked of %j without harm', (value) => {
    expect(createPrivateSlot<object, string>().get(value as never)).toBeUndefined()
  })
})
