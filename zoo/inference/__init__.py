"""What a trained model is asked: scores, samples, codes and views."""
