/** `--import` this, and the product's modules count which of their branches run. */
import { register } from 'node:module'

register('./coverage-loader.js', import.meta.url)
