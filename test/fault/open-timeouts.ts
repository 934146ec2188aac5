// how many timers there are that were set since then and have neither fired nor been cleared.
import { atEnd } from '../support/at-end.js'

/** Only the timers that call the globals: Node's own for its sockets and servers are not among them. */
export interface OpenTimeouts {
  readonly count: number
  /** Lets go of those that are over. */
  forget(): void
}

type Timer = NodeJS.Timeout & { readonly _destroyed: boolean }

/** Unlike the async hooks of `watchTimers`, this costs next to nothing under a hundred thousand connections. */
export function watchTimeouts(): OpenTimeouts {
  const set = new Set<Timer>()
  const prune = (): number => {
    for (const timer of set) if (timer._destroyed) set.delete(timer)
    return set.size
  }
  const originals = { setTimeout, setInterval }
  for (const [name, original] of Object.entries(originals)) {
    const counted = new Proxy(original, {
      apply(target, thisArgument, callArguments) {
        const timer = Reflect.apply(target, thisArgument, callArguments) as Timer
        set.add(timer)
        if (set.size % 1_000 === 0) prune()
        return timer
      },
    })
    Object.assign(globalThis, { [name]: counted })
  }
  atEnd(() => Object.assign(globalThis, originals))
  return {
    get count() {
      return prune()
    },
    forget: prune,
  }
}
