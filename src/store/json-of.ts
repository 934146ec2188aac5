/*
 * What JSON makes of a type.
 */
type Dropped = ((...args: never[]) => unknown) | symbol | undefined
/** Whether a type is `any`. */
export type IsAny<T> = 0 extends 1 & T ? true : false

/** What `JSON.parse(JSON.stringify(value))` makes of a `T`. */
export type JsonOf<T> =
  IsAny<T> extends true
    ? T
    : unknown extends T
      ? T
      : T extends { toJSON(...args: never[]): infer R }
        ? JsonOf<R>
        : T extends string | number | boolean | null
          ? T
          : T extends bigint | Dropped
            ? never
            : T extends ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> | RegExp
              ? Record<string, never>
              : T extends readonly unknown[]
                ? { -readonly [K in keyof T]: JsonElement<T[K]> }
                : T extends object
                  ? JsonObject<T>
                  : never

/** An array keeps its length: what has no JSON becomes `null` there. */
type JsonElement<T> = JsonOf<Exclude<T, Dropped>> | (Extract<T, Dropped> extends never ? never : null)

/** An object loses what has no JSON; what may be missing becomes optional. */
type JsonObject<T> = {
  -readonly [K in keyof T as KeptKey<T, K, false>]: JsonOf<T[K]>
} & {
  -readonly [K in keyof T as KeptKey<T, K, true>]?: JsonOf<Exclude<T[K], Dropped>>
} extends infer O
  ? { [K in keyof O]: O[K] }
  : never

type KeptKey<T, K extends keyof T, Optional extends boolean> = K extends symbol
  ? never
  : IsAny<T[K]> extends true
    ? Optional extends IsOptional<T, K>
      ? K
      : never
    : [Exclude<T[K], Dropped>] extends [never]
      ? never
      : Optional extends (Extract<T[K], Dropped> extends never ? IsOptional<T, K> : true)
        ? K
        : never

type IsOptional<T, K extends keyof T> = object extends Pick<T, K> ? (string extends K ? false : true) : false
