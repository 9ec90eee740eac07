"""The dashboard: one offline HTML page, its charts, themes and pictures."""
