import session, { MemoryStore } from 'express-session'
import createMemoryStore from 'memorystore'
import { ExpressStore } from '../../src/store/express-store.js'
import { describeLiveStore } from './live-store-suite.js'

const PackagedStore = createMemoryStore(session)

describeLiveStore('MemoryStore', () => {
  const store = new MemoryStore()
  return { store, live: new ExpressStore(store) }
})

describeLiveStore('memorystore', () => {
  const store = new PackagedStore({})
  return { store, live: new ExpressStore(store) }
})
