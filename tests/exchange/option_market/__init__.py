"""A whole option market: chains, one surface for all of a coin, and every trade ever made.

What there is, and what it is worth:

families    what the options of one underlying and settlement currency have in common
calendar    which expiries they have, and when each is listed
chain       their strikes: which, and from when on
black76     price, Greeks and implied volatility
underlying  the index and the forward of an expiry at any millisecond
surface     the truth about volatility: SSVI, or a mixture of lognormals outside that family
quotes      what options are worth at given moments

What happens:

activity    how many trades an option makes each day, and so its trade_seq
sessions    the trades of a day before they have a price: whose, when, in which order
trades      the same with all that Deribit says of them
frames      the same with Deribit's names, for tests to compare a lake with
tape        all of it, for any window
held        a cache of a bounded number of bytes

What is sent of it:

rows        the JSON of trades
sent        days of it, without what is lost for good
vices       what is wrong with a few options for good
pages       pages of trades
candles     candles of them
statistics  what the options of a currency did in a day
snapshot    marks, bids, asks and Greeks of now
tickers     tickers, order books and summaries of them
"""
