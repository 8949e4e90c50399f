import type { Bits } from './bits.ts';

/** What every host must give. A change needs a reason and a line in the changelog. */
export const GOLDEN: Bits = {
  logits: {
    F32: '2b74e4344fc3ba2d89ddf248b65ebb6b2063bf78c3fea34280f22d237759bb0e',
    Q8_0: '51763f64bbab3018ebbdc5ac153e09960ed6adf4ba4228b1a7589893da29ede1',
    Q4_0: '3cd7d2d7ac8348ad19613f41f6857f19bd9e228c6ed1b0822dcd518227430596',
    Q4_K: 'ee3a75c3a30a764a3a52a166704e203641dcc4e9ecced92543d16b458d7b1fcb',
  },
  texts: '15e729f91536610c00b4ec7ecdde2f35fa32535af229fdb1beac68a07038fd2c',
  tokens: 'd8ffd32eb1e5603b2bd2f6c92e77fe7e277d2bb4e233b7d09a7bd0c656186afd',
};
