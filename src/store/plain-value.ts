/*
 * A value in a record as JSON would bring it back: one copy in place of stringify and parse.
 */

/** How many objects may be inside each other: what compares, freezes and copies a snapshot later recurses as deep. */
const deepest = 200

/** A record that express-session could not make a session of, or that has no JSON. */
export class UnusableRecordError extends TypeError {
  override name = 'UnusableRecordError'
  readonly code: string = 'UNUSABLE_RECORD'
}

/** A record whose data is nested too deep to be compared or copied without a risk for the stack. */
export class RecordTooDeepError extends UnusableRecordError {
  override name = 'RecordTooDeepError'
  override readonly code = 'RECORD_TOO_DEEP'

  constructor() {
    super(`The session's data is nested deeper than ${String(deepest)} levels, or holds itself.`)
  }
}

/**
 * The rules of JSON.stringify (ECMA-262, SerializeJSONProperty), but a key `__proto__` is dropped, so that no copy has
 * the prototype that its data asks for. `undefined` where JSON has nothing.
 *
 * @throws {UnusableRecordError}
 */
export function plainValue(value: unknown, key: string, freeze: boolean, depth = 1): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      // JSON knows no NaN, no Infinity and no -0.
      return Number.isFinite(value) ? value + 0 : null
    case 'object':
      return value === null ? null : plainObject(value, key, freeze, depth)
    case 'bigint':
      throw new UnusableRecordError("The session's data has a BigInt, which JSON cannot write.")
    default:
      return undefined
  }
}

function plainObject(object: object, key: string, freeze: boolean, depth: number): unknown {
  if (depth > deepest) throw new RecordTooDeepError()
  const plain = applyToJSON(object, key)
  // What toJSON returns is not asked for its own toJSON.
  return typeof plain === 'object' && plain !== null
    ? copyOf(plain, freeze, depth)
    : plainValue(plain, key, freeze, depth)
}

function copyOf(object: object, freeze: boolean, depth: number): unknown {
  if (Array.isArray(object)) return copyOfArray(object, freeze, depth)
  if (object instanceof Number || object instanceof String || object instanceof Boolean) {
    return plainValue(object.valueOf(), '', freeze, depth)
  }
  const source = object as Record<string, unknown>
  const copy: Record<string, unknown> = {}
  for (const name of Object.keys(source)) {
    if (name === '__proto__') continue
    const value = plainValue(source[name], name, freeze, depth + 1)
    if (value !== undefined) copy[name] = value
  }
  return freeze ? Object.freeze(copy) : copy
}

/* By index, which unlike `map` also visits holes, and costs a fifth of Array.from. An array that is pushed to has room for 17. */
function copyOfArray(source: readonly unknown[], freeze: boolean, depth: number): readonly unknown[] {
  const copy = new Array<unknown>(source.length)
  for (let index = 0; index < copy.length; index += 1) {
    copy[index] = plainValue(source[index], String(index), freeze, depth + 1) ?? null
  }
  return freeze ? Object.freeze(copy) : copy
}

/** What JSON.stringify asks an object for before it reads it. */
export function applyToJSON(object: object, key: string): unknown {
  const { toJSON } = object as { toJSON?: unknown }
  return typeof toJSON === 'function' ? (toJSON as (key: string) => unknown).call(object, key) : object
}
