"""Papers of the bridge: order sheet, supervision notice, call-back form, handoff receipt.

A locality's template gives the form its words and rows; the same form becomes fax-ready pages
(TIFF, T.6), PDF, HTML and plain text. A returned sheet is read back by `returned`.
"""
