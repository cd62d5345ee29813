"""What happens in a day: visits, views, fits, feeds, responses, counts."""
