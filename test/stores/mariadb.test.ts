import { atEnd } from '../support/at-end.js'
import { spawnMariadbServer } from '../support/mariadb-server.js'
import { describeStore } from './store-contract.js'

describeStore('express-mysql-session on MariaDB', {
  async server() {
    const mariadb = await spawnMariadbServer()
    atEnd(() => mariadb.stop())
    return mariadb.port
  },
  // It rounds to whole seconds.
  earlyMs: 500,
})
