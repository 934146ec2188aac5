// its types, for the test: the recipe itself is plain JavaScript for a page.
export function reconnectingSocket(
  url: string,
  options: {
    onMessage(data: unknown): void
    onEnd(code: number): void
    firstPauseMs?: number
    longestPauseMs?: number
    WebSocket?: unknown
    setTimeout?: (callback: () => void, ms: number) => unknown
  },
): { send(data: string): boolean; close(): void }
