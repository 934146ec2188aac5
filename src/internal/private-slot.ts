/*
 * A value on a foreign object that only the owner of the slot can see.
 */

import { isObject } from './is-object.js'

/** A constructor that gives back what it is given: a class that extends it puts its private field on that. */
const Itself = function (object: object): object {
  return object
} as unknown as new (object: object) => object

/** As private as a WeakMap. */
export interface PrivateSlot<O extends object, T> {
  get(object: O): T | undefined
  set(object: O, value: T): void
}

/**
 * A private field on foreign objects, invisible from outside as in a WeakMap: but that one keeps a table, which costs half a
 * microsecond for each new key, and more when garbage is collected.
 */
export function createPrivateSlot<O extends object, T>(): PrivateSlot<O, T> {
  class Attached extends Itself {
    #value: T

    constructor(object: O, value: T) {
      super(object)
      this.#value = value
    }

    static get(object: O): T | undefined {
      // Anything may be asked for, as of a WeakMap.
      return isObject(object) && #value in object ? object.#value : undefined
    }

    static set(object: O, value: T): void {
      if (#value in object) object.#value = value
      else new Attached(object, value)
    }
  }
  return Attached
}
